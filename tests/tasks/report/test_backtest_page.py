"""The page of a backtest: what it says, and that it needs nothing beside it."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import numpy as np
import pytest

from models.evaluation.backtest import BacktestResult, Origin, score_origins
from models.panel.panel import Panel
from tasks.report.backtest_page import describe_difference, overall_rows, write_backtest
from tasks.settings import Output
from tasks.store.places import Places

LEVELS = np.array([0.05, 0.5, 0.95])


@pytest.fixture
def judged() -> BacktestResult:
    rng = np.random.default_rng(0)
    values = rng.normal(10, 1, (6, 60)).astype(np.float32)
    panel = Panel(
        values=values.ravel(),
        offsets=60 * np.arange(7),
        series_ids=np.array([f"s{i}" for i in range(6)]),
        frequency="D",
        cutoff_index=1_000,
        season_lengths=(7,),
        horizon=4,
    )
    origins = [
        Origin(
            cutoff_index=1_000 - back,
            series_ids=panel.series_ids,
            quantiles={"model": np.full((6, 4, 3), 10.0) + np.array([-2, 0, 2]), "theta": np.full((6, 4, 3), 12.0)},
            baseline=rng.normal(10, 1, (6, 4)),
            reason={"model": np.full(6, ""), "theta": np.full(6, "")},
            # A series whose only forecast is of one cutoff has no interval.
            segments={
                "all": np.ones(6, bool),
                "region=<b>north</b>": np.arange(6) < 3,
                **({"region=new": np.arange(6) == 5} if back == 4 else {}),
            },
        )
        for back in (12, 8, 4)
    ]
    return score_origins(panel, origins, LEVELS)


def written(tmp_path, judged: BacktestResult):
    cutoffs = [datetime(2024, 3, day, tzinfo=UTC) for day in (1, 5, 9)]
    return write_backtest(
        Places("sales", tmp_path, Output()),
        judged,
        cutoffs,
        "trained once",
        UTC,
        datetime(2024, 4, 1, 6, 30, tzinfo=UTC),
    )


def squeezed(text: str) -> str:
    return " ".join(text.split()).replace(" %", "%").replace("&#39;", "'")


def test_a_page_holds_every_method_segment_and_plot_and_loads_nothing(tmp_path, judged):
    text = written(tmp_path, judged).file.read_text(encoding="utf-8")
    described = re.findall(r'role="img" aria-label="[^"]{20,}"><svg aria-hidden="true"', text)
    assert text.count("<svg") == len(described) == 2 + 2 + 2  # against each baseline, by step, coverage
    said = re.sub(r"<[^>]+>", " ", re.sub(r"<(style|svg).*?</\1>", " ", text, flags=re.DOTALL))
    for words in ("2024-03-01 to 2024-03-09", "trained once", "theta", "seasonal naive", "90 % interval"):
        assert words in said
    # The mean absolute errors of the model and of the naive, and their ratio.
    whole = {row["metric"]: row for row in judged.scores if row["step"] == 0}
    model, naive = whole["mae"]["value"], whole["mae"]["baseline_value"]
    assert f"{model:.3g} {1 - model / naive:.0%} lower than the seasonal naive's {naive:.3g}" in squeezed(said)
    assert "<b>north" not in text
    assert not re.search(r'(src|href)="(?!#)', text)


def test_the_same_on_one_screen_has_its_plots_in_it(tmp_path, judged):
    screen = written(tmp_path, judged).screen
    assert screen.count("data:image/svg+xml;base64,") == 5
    rows = [line for line in screen.splitlines() if line.startswith("| all |")]
    assert len(rows) == 4
    assert re.search(r"\| all \| Scaled error \(MASE\) \| theta \| \d+ % lower \(\d+ to \d+ %\) \|", screen)


def test_a_difference_says_its_side_and_how_sure_it_is():
    row = {"mean": -0.1, "low": -0.2, "high": 0.05, "second": 1.0}
    assert describe_difference(row) == "10 % lower (20 % lower to 5 % higher)"
    row |= {"low": float("nan"), "high": float("nan")}
    assert describe_difference(row) == "10 % lower (interval not known)"
    assert describe_difference(row | {"mean": float("nan")}) == "not known"
    assert describe_difference(row | {"second": 0.0}) == "not known"


def test_the_table_of_a_backtest_has_labels_and_no_more_digits_than_people_read(judged):
    rows = {row["metric"]: row for row in overall_rows(judged)}
    assert {"Mean absolute error (MAE)", "Scaled error (MASE)", "Actuals inside the 90 % interval"} <= set(rows)
    for row in rows.values():
        assert list(row) == ["metric", "model", "seasonal naive", "theta", "points"]
        for name in ("model", "seasonal naive", "theta"):
            assert len(re.sub(r"\D", "", row[name]).lstrip("0")) <= 3, row
    # All values of the model lie 2 around 10, and its actuals vary by 1: nearly all are inside.
    assert rows["Actuals inside the 90 % interval"]["model"].endswith("%")
