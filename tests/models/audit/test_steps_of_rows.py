"""Rows finer than the grid: the step into which they fall, the one that is not over yet, and where the grid begins."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from models.audit.build_panel import build_panel
from models.errors import InputError
from models.settings.audit import AuditSettings
from models.settings.forecast import ForecastSettings

RECEIPTS = {"off_grid": "floor", "duplicates": "sum"}
NIGHT = datetime(2024, 2, 10, 5, 44, tzinfo=UTC)


def rows(times: pd.DatetimeIndex, values: object = 1.0) -> pa.Table:
    return pa.table(
        {
            "series_id": pa.array(["a"] * len(times)).dictionary_encode(),
            "timestamp": pa.array(
                times.tz_localize(None).to_numpy().astype("M8[us]"), pa.timestamp("us", times.tz and "UTC")
            ),
            "value": pa.array(np.broadcast_to(np.asarray(values, float), len(times))),
        }
    )


def build(table: pa.Table, frequency: str, now: datetime, cutoff: datetime | None = None, audit=RECEIPTS, **forecast):
    settings = ForecastSettings(frequency=frequency, horizon=3, **forecast)
    return build_panel(table, settings, cutoff=cutoff, now=now, audit=AuditSettings(**audit))


def steps(panel) -> dict[str, float]:
    """Values by the local day of their step."""
    index = np.arange(panel.cutoff_index - len(panel.values) + 1, panel.cutoff_index + 1)
    return dict(zip(panel.grid.to_local(index).strftime("%Y-%m-%d"), panel.values.tolist(), strict=True))


def found(audit) -> dict[str, int]:
    return {finding.kind: finding.count for finding in audit.findings}


def test_receipts_of_a_month_count_in_the_month_that_is_named_by_its_end():
    # One receipt a day, its amount the number of its month; the newest month has one day.
    days = pd.date_range("2021-01-01 10:00", "2024-11-01 10:00")
    panel, _ = build(rows(days, days.month), "ME", datetime(2024, 11, 2, 4, tzinfo=UTC))
    values = steps(panel)
    assert list(values)[-1] == "2024-10-31"
    naive = [values["2023-11-30"], values["2023-12-31"], values["2024-01-31"]]
    assert naive == [330, 372, 31]


@pytest.mark.parametrize(
    ("frequency", "label", "expected"),
    [
        ("W-SUN", "last_day", {"2024-01-07": 7, "2024-01-14": 7}),
        ("W-MON", "last_day", {"2024-01-01": 1, "2024-01-08": 7, "2024-01-15": 7}),
        ("W-MON", "first_day", {"2024-01-01": 7, "2024-01-08": 7, "2024-01-15": 7}),
        ("QE", "last_day", {"2024-03-31": 91}),
        ("BME", "last_day", {"2024-01-31": 31, "2024-02-29": 29, "2024-03-29": 29}),
        ("MS", "last_day", {"2024-01-01": 31, "2024-02-01": 29, "2024-03-01": 31}),
    ],
)
def test_a_period_takes_what_falls_into_it(frequency: str, label: str, expected: dict[str, float]):
    days = pd.date_range("2024-01-01 10:00", "2024-04-02 10:00")
    panel, audit = build(rows(days), frequency, datetime(2024, 4, 3, tzinfo=UTC), week_label=label)
    values = steps(panel)
    assert {day: values[day] for day in expected} == expected
    assert found(audit)["timestamps off the grid"] == len(days)


def test_the_day_that_is_not_over_yet_is_left_out_and_the_audit_says_so():
    hours = pd.date_range("2024-02-01", "2024-02-10 05:00", freq="h")
    panel, audit = build(rows(hours), "D", NIGHT)
    assert audit.cutoff == datetime(2024, 2, 9, tzinfo=UTC)
    assert steps(panel)["2024-02-09"] == 24
    # The six hours of today are one value.
    assert found(audit)["values of the step that is not over yet"] == 1
    assert "values after the cutoff" not in found(audit)
    assert audit.late_steps == 0


def test_a_job_whose_source_knows_today_already_says_so():
    days = pd.date_range("2024-02-01", "2024-02-10")
    _, audit = build(rows(days), "D", NIGHT, audit={"unfinished": "keep"})
    assert audit.cutoff == datetime(2024, 2, 10, tzinfo=UTC)
    assert "values of the step that is not over yet" not in found(audit)


@pytest.mark.parametrize(
    ("frequency", "now", "cutoff"),
    [
        ("15min", "2024-02-10 05:44", "2024-02-10 05:15"),
        ("h", "2024-02-10 05:44", "2024-02-10 04:00"),
        ("W-SUN", "2024-02-10 05:44", "2024-02-04"),
        ("MS", "2024-02-10 05:44", "2024-01-01"),
        ("ME", "2024-02-10 05:44", "2024-01-31"),
        ("ME", "2024-02-29 23:00", "2024-01-31"),
        ("ME", "2024-03-01 00:00", "2024-02-29"),
        ("2W-FRI", "2024-02-10 05:44", "2024-02-02"),
    ],
)
@pytest.mark.parametrize("zone", [None, "UTC"])
def test_at_any_frequency_the_cutoff_is_the_newest_step_that_is_over(frequency, now, cutoff, zone):
    moment = datetime.fromisoformat(now).replace(tzinfo=UTC)
    minutes = pd.date_range("2023-12-01", now, freq="15min", tz=zone)
    _, audit = build(rows(minutes), frequency, moment)
    assert audit.cutoff == datetime.fromisoformat(cutoff).replace(tzinfo=UTC)


def test_a_cutoff_that_is_not_over_yet_is_left_out_like_any_other_step():
    days = pd.date_range("2024-02-01", "2024-02-10")
    _, audit = build(rows(days), "D", NIGHT, datetime(2024, 2, 10, tzinfo=UTC))
    assert audit.cutoff == datetime(2024, 2, 9, tzinfo=UTC)
    assert found(audit) == {"values of the step that is not over yet": 1}
    _, past = build(rows(days), "D", NIGHT, datetime(2024, 2, 8, tzinfo=UTC))
    assert found(past) == {"values after the cutoff": 2}


def test_where_only_the_present_step_has_values_the_error_says_how_to_keep_it():
    today = pd.date_range("2024-02-10", "2024-02-10 05:00", freq="h")
    with pytest.raises(InputError, match=r"no observed value of a step that is over.*audit.unfinished to keep"):
        build(rows(today), "D", NIGHT)


@pytest.mark.parametrize("frequency", ["2W-FRI", "14D", "28D", "8h", "2MS"])
def test_the_grid_begins_where_the_rows_do_and_the_audit_says_which(frequency: str):
    first = {"2W-FRI": "2022-01-14", "8h": "2022-01-09T06:00", "2MS": "2022-02-01"}
    times = pd.date_range(first.get(frequency, "2022-01-05"), periods=20, freq=frequency)
    panel, audit = build(rows(times), frequency, datetime(2026, 1, 1, tzinfo=UTC), audit={})
    assert np.isfinite(panel.values).sum() == 20
    [finding] = [each for each in audit.findings if each.setting == "forecast.origin"]
    assert (finding.count, finding.action) == (20, f"the grid has {audit.origin} as one of its steps")
    # What the audit says can be written into the job, which then says it for good.
    again, fixed = build(rows(times), frequency, datetime(2026, 1, 1, tzinfo=UTC), audit={}, origin=audit.origin)
    np.testing.assert_array_equal(again.values, panel.values)
    assert not [each for each in fixed.findings if each.setting == "forecast.origin"]


def test_a_day_may_begin_at_six_in_the_morning_where_the_job_says_so():
    mornings = pd.date_range("2024-01-01 06:00", "2024-02-10 06:00")
    with pytest.raises(InputError, match=r"lie off the grid .*audit.off_grid to floor.*forecast.origin"):
        build(rows(mornings), "D", NIGHT, audit={})
    panel, audit = build(rows(mornings), "D", NIGHT, audit={}, origin="2024-01-01T06:00")
    assert np.isfinite(panel.values).all()
    # The day of the ninth lasts until six.
    assert audit.cutoff == datetime(2024, 2, 8, 6, tzinfo=UTC)


def test_an_origin_may_be_a_date_of_yaml():
    assert ForecastSettings(frequency="2W-FRI", horizon=1, origin=date(2024, 1, 12)).grid.origin == "2024-01-12"
    with pytest.raises(ValueError, match="has an offset from UTC; write it in local time"):
        ForecastSettings(frequency="8h", horizon=1, origin="2024-01-12T06:00:00+02:00")
    with pytest.raises(ValueError, match="week_label is for weeks"):
        ForecastSettings(frequency="D", horizon=1, week_label="first_day")


def test_rows_after_the_present_moment_are_no_part_of_the_step_that_is_not_over():
    days = pd.date_range("2024-02-01", "2024-02-12")
    _, audit = build(rows(days), "D", NIGHT, audit={})
    assert found(audit) == {"values of the step that is not over yet": 1, "values after the cutoff": 2}
    with pytest.raises(InputError, match="2 values after now"):
        build(rows(days), "D", NIGHT, audit={"future": "error"})
    assert audit.last == NIGHT.replace(hour=0, minute=0) - timedelta(days=1)
