"""What a page holds of each series, and how many series fit on it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest

from sql.secrets.known import remember
from tasks.report.series.anomalies import newest_anomaly
from tasks.report.series.block import unpack
from tasks.report.series.choice import choose_series
from tasks.report.series.contents import MOST_NUMBERS, central_intervals, most_series, pack_series
from tasks.report.series.scripts import FORMAT, block_in, explorer_of


def test_a_page_holds_the_history_the_forecasts_and_the_errors_of_each_series(make_series):
    night = make_series(["a", "b", "c"])
    header, arrays = unpack(pack_series(night))
    assert (header["ids"], header["history"], header["horizon"]) == (["a", "b", "c"], 60, 7)
    history = arrays["history_base"][:, None] + arrays["history"] * arrays["history_unit"][:, None]
    assert history == pytest.approx(night.panels[0].values.reshape(3, 60), abs=0.06)
    assert np.datetime64(int(arrays["clock"][59]), "s") == np.datetime64("2024-03-01")
    assert len(arrays["clock"]) == 67
    assert header["bands"] == [[0.1, 0.9]]
    assert (arrays["mae"].tolist(), arrays["mase"].tolist()) == ([2.0] * 3, [0.5] * 3)
    assert header["nights"] == [{"cutoff": 52, "horizon": 7}]
    assert header["flags"] == ["promotion"]
    assert np.unpackbits(arrays["flags"][0, 0])[49:56].tolist() == [0] + [1] * 5 + [0]
    # The history begins on 2 January.
    assert [place for place, _ in header["holidays"]] == [4]
    assert arrays["in_alert"].tolist() == [[0, 1, 0]]
    assert (header["alerts"][0]["begin"], header["alerts"][0]["end"]) == (49, None)


def test_a_night_that_judged_none_has_no_errors(make_series):
    header, arrays = unpack(pack_series(make_series(["a", "b"], past=None)))
    assert (header["nights"], header["alerts"]) == ([], [])
    assert "mae" not in arrays


def test_a_series_that_no_earlier_night_knew_has_no_errors(make_series):
    night = make_series(["a", "b", "c"])
    known = replace(night.past, series_ids=np.array(["a", "b", "zz"]))
    _, arrays = unpack(pack_series(replace(night, past=known)))
    assert arrays["points"].tolist() == [7, 7, 0]
    assert np.isnan(arrays["mae"]).tolist() == [False, False, True]


def test_a_series_without_any_value_has_its_forecast(make_series):
    night = make_series(["a"])
    empty = replace(night.panels[0], values=np.zeros(0, np.float32), offsets=np.array([0, 0]), known_future=None)
    header, arrays = unpack(pack_series(replace(night, panels=[empty])))
    assert (header["history"], len(arrays["clock"]), arrays["ahead"].shape) == (0, 7, (1, 7, 4))


def test_a_page_holds_no_secret(make_series):
    remember("hunter2-x")
    assert unpack(pack_series(make_series(["a hunter2-x", "b"])))[0]["ids"] == ["a ***", "b"]


def test_the_most_series_that_fit_do_fit(make_series):
    panel = make_series(["a"]).panels[0]
    # 60 steps of history; 7 steps of median, naive and two ends of an interval, and 3 numbers of an earlier night.
    most = most_series(panel, np.array([0.1, 0.5, 0.9]), 1)
    assert most == MOST_NUMBERS // (60 + 7 * (2 + 2 + 3))


def test_the_series_on_a_page_lead_one_of_its_lists():
    size, worst = np.array([9.0, 8.0, 7.0, 1.0, 2.0]), np.array([0.1, 0.2, np.nan, 5.0, 0.3])
    assert choose_series(3, [size, worst]).tolist() == [0, 1, 3]
    assert choose_series(5, [size, worst]).tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("levels", "found"),
    [
        ([0.5], []),
        ([0.1, 0.5], []),
        ([0.1, 0.9], [(0, 1)]),
        (np.arange(0.05, 1, 0.05).round(2), [(0, 18), (4, 14), (8, 10)]),
    ],
)
def test_at_most_three_intervals_are_drawn(levels, found):
    assert central_intervals(np.array(levels)) == found


def test_a_page_is_written_again_from_what_it_holds(make_page):
    page = make_page(["a", "b"])
    block = block_in(page)
    assert unpack(block)[0]["ids"] == ["a", "b"]
    assert f">{block}<" in explorer_of(block).scripts
    text = page.read_text(encoding="utf-8")
    page.write_text(text.replace(f'data-format="{FORMAT}"', 'data-format="0"'), encoding="utf-8")
    assert block_in(page) == ""
    page.write_text("<p>none</p>", encoding="utf-8")
    assert block_in(page) == block_in(page.with_name("missing.html")) == ""


def test_a_page_marks_the_anomalies_of_its_steps_and_series(make_series):
    days = [datetime(2024, 2, 1, tzinfo=UTC), datetime(2024, 2, 29, tzinfo=UTC)]
    instants = pa.array([*days, days[1], datetime(2023, 1, 1, tzinfo=UTC), days[1]], pa.timestamp("us", "UTC"))
    anomalies = pa.table({
        "series_id": ["a", "b", "a", "a", "unknown"], "timestamp": instants, "expected": [1.0, 2.0, 3.0, 4.0, 5.0],
        "probability": [1e-4, 1e-5, 1e-6, 1e-4, 1e-4], "since": instants,
    })  # fmt: skip
    header, _ = unpack(pack_series(make_series(["a", "b"], anomalies=anomalies)))
    assert header["anomalies"] == {
        "of": [0, 1, 0], "step": [58, 58, 30], "expected": [3.0, 2.0, 1.0], "probability": [1e-6, 1e-5, 1e-4],
        "since": [58, 58, 30],
    }  # fmt: skip
    newest = newest_anomaly(anomalies, np.array(["a", "b", "c"]))
    assert newest.tolist()[:2] == [days[1].timestamp()] * 2
    assert np.isnan(newest[2])
    assert np.isnan(newest_anomaly(None, np.array(["a"]))).all()
