"""Into which step a moment falls, when a step is over, and where a grid begins; against pandas' own resampling."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from models.calendar.grid import TimeGrid
from models.calendar.origin import origin_of_night, origin_of_timestamps

HOURS = pd.date_range("2023-11-01", "2026-03-31 23:00", freq="h")


def times(*written: str) -> np.ndarray:
    return np.array(written, "M8[us]")


@pytest.mark.parametrize(
    "frequency",
    ["ME", "QE", "QE-NOV", "YE", "YE-JUN", "BME", "BQE", "BYE", "W-SUN", "W-MON", "W-WED", "MS", "QS", "QS-FEB", "YS",
     "BMS", "BQS", "BYS", "D", "2h"],
)  # fmt: skip
@pytest.mark.parametrize("zone", ["UTC", "Europe/Madrid"])
def test_a_moment_falls_into_the_step_that_pandas_sums_it_up_in(frequency: str, zone: str) -> None:
    grid = TimeGrid(frequency, zone)
    index, _ = grid.containing(HOURS.to_numpy().astype("M8[us]"))
    sums = pd.Series(1, HOURS).resample(frequency).sum()
    assert pd.Series(grid.to_local(index)).value_counts(sort=False).sort_index().to_dict() == sums[sums > 0].to_dict()


@pytest.mark.parametrize("frequency", ["ME", "W-WED", "BQE", "MS", "D", "15min", "2W-FRI", "YE"])
@pytest.mark.parametrize("zone", ["UTC", "America/New_York"])
def test_with_and_without_a_zone_a_moment_falls_into_the_same_step(frequency: str, zone: str) -> None:
    # On these days the clocks of New York do not change.
    local = pd.date_range("2024-04-01 00:30", "2024-09-30", freq="7h")
    grid = TimeGrid(frequency, zone)
    naive, _ = grid.containing(local.to_numpy().astype("M8[us]"))
    aware, _ = grid.containing(local.tz_localize(zone))
    np.testing.assert_array_equal(naive, aware)


@pytest.mark.parametrize(
    ("frequency", "begin"),
    [("ME", "2024-01-01"), ("QE", "2024-01-01"), ("YE", "2024-01-01"), ("W-SUN", "2024-01-29"), ("W-MON", "2024-01-30"),
     ("BME", "2023-12-30"), ("MS", "2024-01-01"), ("D", "2024-01-31"), ("h", "2024-01-31T18:00")],
)  # fmt: skip
def test_a_step_begins_where_the_one_before_ended(frequency: str, begin: str) -> None:
    grid = TimeGrid(frequency, "Europe/Madrid")
    index = int(grid.containing(times("2024-01-31T18:20"))[0][0])
    assert grid.begin(index) == pd.Timestamp(begin, tz="Europe/Madrid")


def test_a_week_can_be_named_by_its_first_day() -> None:
    sunday, monday, tuesday = times("2024-02-04"), times("2024-02-05"), times("2024-02-06")
    by_last, by_first = TimeGrid("W-MON"), TimeGrid("W-MON", week_label="first_day")
    for grid, of_sunday, of_tuesday in ((by_last, "2024-02-05", "2024-02-12"), (by_first, "2024-01-29", "2024-02-05")):
        assert grid.to_local(grid.containing(sunday)[0])[0] == pd.Timestamp(of_sunday)
        assert grid.to_local(grid.containing(monday)[0])[0] == pd.Timestamp("2024-02-05")
        assert grid.to_local(grid.containing(tuesday)[0])[0] == pd.Timestamp(of_tuesday)


@pytest.mark.parametrize(
    ("frequency", "now", "over"),
    [
        ("D", "2024-02-10T05:44", "2024-02-09"),
        ("D", "2024-02-10T00:00", "2024-02-09"),
        ("h", "2024-02-10T05:44", "2024-02-10T04:00"),
        ("MS", "2024-02-10T05:44", "2024-01-01"),
        ("ME", "2024-02-10T05:44", "2024-01-31"),
        ("ME", "2024-01-31T23:59", "2023-12-31"),
        ("W-SUN", "2024-02-10T05:44", "2024-02-04"),
        ("W-SAT", "2024-02-10T05:44", "2024-02-03"),
        ("QE", "2024-02-10T05:44", "2023-12-31"),
        # Saturday: Friday is over, whatever day the next business day is.
        ("B", "2024-02-10T05:44", "2024-02-09"),
        ("B", "2024-02-09T05:44", "2024-02-08"),
        ("2B", "2024-02-10T05:44", "2024-02-08"),
        ("2B", "2024-02-09T05:44", "2024-02-06"),
    ],
)
def test_the_newest_step_that_is_over(frequency: str, now: str, over: str) -> None:
    grid = TimeGrid(frequency, "Europe/Madrid")
    moment = pd.Timestamp(now, tz="Europe/Madrid").to_pydatetime()
    assert grid.to_local(np.array([grid.newest_over(moment)]))[0] == pd.Timestamp(over)


def test_a_friday_that_takes_the_sales_of_its_weekend_lasts_until_monday() -> None:
    saturday = datetime(2024, 2, 10, 5, tzinfo=UTC)
    assert TimeGrid("B").newest_over(saturday) == TimeGrid("B").newest_over(saturday, weekends=True) + 1


@pytest.mark.parametrize(
    ("frequency", "steps"),
    [
        ("2W-FRI", ["2024-01-05", "2024-01-19"]),
        ("2W-FRI", ["2024-01-12", "2024-01-26"]),
        ("14D", ["2024-01-09", "2024-01-23"]),
        ("28D", ["2024-01-09", "2024-02-06"]),
        ("8h", ["2024-01-09T06:00", "2024-01-09T14:00"]),
        ("15min", ["2024-01-09T06:05", "2024-01-09T06:20"]),
        ("D", ["2024-01-09T06:00", "2024-01-10T06:00"]),
        ("2MS", ["2024-02-01", "2024-04-01"]),
        ("2ME", ["2024-02-29", "2024-04-30"]),
        ("2QS-FEB", ["2024-02-01", "2024-08-01"]),
        ("3YS", ["2023-01-01", "2026-01-01"]),
        ("2B", ["2024-01-04", "2024-01-08"]),
        ("2B", ["2024-01-05", "2024-01-09"]),
        ("2BME", ["2024-03-29", "2024-05-31"]),
    ],
)
@pytest.mark.parametrize("zone", ["UTC", "Europe/Madrid"])
def test_a_grid_goes_through_its_origin(frequency: str, steps: list[str], zone: str) -> None:
    for origin in steps:
        grid = TimeGrid(frequency, zone, origin=origin)
        index, on_grid = grid.to_index(times(*steps))
        assert on_grid.all()
        assert index[1] == index[0] + 1
        assert grid.to_local(index).equals(pd.DatetimeIndex(steps))


@pytest.mark.parametrize(
    ("frequency", "origin", "remedy"),
    [("2W-FRI", "2024-01-11", "2024-01-05"), ("2MS", "2024-02-02", "2024-01-01"), ("2B", "2024-01-06", "2024-01-0"),
     ("QS-FEB", "2024-03-01", "2024-02-01"), ("8h", "soon", "is not a time"), ("ME", "2024-01-30", "2023-12-31")],
)  # fmt: skip
def test_an_origin_that_is_no_step_is_refused_with_one_that_is(frequency: str, origin: str, remedy: str) -> None:
    with pytest.raises(ValueError, match=remedy):
        TimeGrid(frequency, origin=origin)


@pytest.mark.parametrize(
    ("frequency", "first"),
    [("2W-FRI", "2024-01-12"), ("14D", "2024-01-09"), ("28D", "2024-01-09"), ("8h", "2024-01-09T06:00"),
     ("2MS", "2024-02-01"), ("2B", "2024-01-04"), ("90min", "2024-01-09T00:45")],
)  # fmt: skip
def test_the_data_say_where_a_grid_begins_and_so_does_a_published_night(frequency: str, first: str) -> None:
    usual = TimeGrid(frequency)
    steps = pd.date_range(first, periods=50, freq=frequency)
    late = steps[:3] + pd.Timedelta("7min")
    rows = steps.append(late).to_numpy().astype("M8[us]")
    assert not usual.to_index(rows)[1][:50].all()
    origin = origin_of_timestamps(usual, [rows[:20], rows[20:]])
    grid = TimeGrid(frequency, origin=origin)
    assert grid.to_index(rows)[1].tolist() == [True] * 50 + [False] * 3
    night = steps.tz_localize("UTC")
    assert origin_of_night(usual, night[30].to_pydatetime(), night[31].to_pydatetime()) == origin


def test_data_without_one_clear_grid_leave_it_as_it_is() -> None:
    days = pd.date_range("2024-01-01", periods=100)
    grid = TimeGrid("14D")
    assert origin_of_timestamps(grid, [days.to_numpy().astype("M8[us]")]) is None
    mixed = pd.date_range("2024-01-01T06:00", periods=60).append(days[:40]).to_numpy().astype("M8[us]")
    assert origin_of_timestamps(TimeGrid("D"), [mixed]) is None
    assert origin_of_timestamps(TimeGrid("D"), []) is None


def test_the_data_move_a_grid_by_whole_days_or_hours_only() -> None:
    mornings = pd.date_range("2024-01-09T06:00", periods=50, freq="14D").to_numpy().astype("M8[us]")
    assert origin_of_timestamps(TimeGrid("14D"), [mornings]) is None
    midnights = pd.date_range("2024-01-09", periods=50, freq="14D").to_numpy().astype("M8[us]")
    assert origin_of_timestamps(TimeGrid("14D"), [midnights]) is not None
    ends = pd.date_range("2024-01-09T23:59:59", periods=50).to_numpy().astype("M8[us]")
    assert origin_of_timestamps(TimeGrid("D"), [ends]) is None


def test_a_night_on_a_grid_of_another_frequency_says_nothing_of_this_one() -> None:
    cutoff = datetime(2024, 2, 10, 23, tzinfo=UTC)
    assert origin_of_night(TimeGrid("D"), cutoff, datetime(2024, 2, 11, tzinfo=UTC)) is None
    assert origin_of_night(TimeGrid("D"), cutoff, datetime(2024, 2, 11, 23, tzinfo=UTC)) is None


def test_a_night_in_another_time_zone_says_nothing_of_where_days_begin() -> None:
    cutoff, first = datetime(2024, 5, 10, tzinfo=UTC), datetime(2024, 5, 11, tzinfo=UTC)
    assert origin_of_night(TimeGrid("D", "Europe/Madrid"), cutoff, first) is None
