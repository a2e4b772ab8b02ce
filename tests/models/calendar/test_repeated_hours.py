"""Which rows of an hour that came twice are of the second time, on the night of 27 October 2024 in Madrid."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.calendar.grid import TimeGrid
from models.calendar.repeated_hours import second_pass

QUARTERS = TimeGrid("15min", "Europe/Madrid")
MADRID = ZoneInfo("Europe/Madrid")


def clock(times: str) -> np.ndarray:
    """Rows in the order of the source, as the minutes that the clock shows."""
    return np.array([f"2024-10-27T0{time}" for time in times.split()], "datetime64[us]")


def second(times: str, series: list[int] | None = None) -> tuple[list[int], list[int]]:
    """Places of the rows of the second time, and of those in doubt."""
    rows = clock(times)
    again, in_doubt = second_pass(rows, np.array(series or [0] * len(rows)), QUARTERS)
    return np.flatnonzero(again).tolist(), np.flatnonzero(in_doubt).tolist()


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ("1:45 2:00 2:15 2:30 2:45 2:00 2:15 2:30 2:45 3:00", [5, 6, 7, 8]),
        ("3:00 2:45 2:30 2:15 2:00 2:45 2:30 2:15 2:00 1:45", [1, 2, 3, 4]),
        ("1:45 2:00 2:00 2:15 2:15 2:30 2:30 2:45 2:45 3:00", [2, 4, 6, 8]),
        ("2:00 2:00", [1]),
        ("1:00 2:00 2:00 3:00", [2]),
        ("3:00 2:00 2:00 1:00", [1]),
    ],
    ids=["oldest first", "newest first", "sorted by the clock", "alone", "hours", "hours newest first"],
)
def test_two_rows_of_a_time_are_its_two_times_in_the_order_of_the_source(times, expected):
    assert second(times) == (expected, [])


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ("1:45 2:00 2:15 2:30 2:45 2:00 2:30 2:45 3:00", [5, 6, 7]),
        ("1:45 2:00 2:30 2:45 2:00 2:15 2:30 2:45 3:00", [4, 5, 6, 7]),
        ("3:00 2:45 2:30 2:15 2:00 2:45 2:30 2:00 1:45", [1, 2, 3, 4]),
    ],
    ids=["in the second time", "in the first time", "in the first time, newest first"],
)
def test_a_gap_in_one_of_the_two_times_is_seen_by_where_the_rows_go_back(times, expected):
    assert second(times) == (expected, [])


@pytest.mark.parametrize(
    "times",
    ["1:45 2:00 2:15 2:30 2:45 3:00", "1:45 2:00 2:30 2:45 2:15 3:00", "2:15", "1:45 3:00", "2:00 2:00 2:00"],
    ids=["kept once", "kept once, one row late", "one row", "left out", "three of a time"],
)
def test_rows_without_a_single_twin_are_of_the_first_time(times):
    assert second(times) == ([], [])


def test_rows_that_were_loaded_twice_are_no_second_time():
    assert second("1:45 2:00 2:15 2:30 2:45 3:00 1:45 2:00 2:15 2:30 2:45 3:00") == ([], [])
    assert second("1:45 1:45 2:00 2:00 2:15 2:15 3:00 3:00") == ([], [])


def test_among_rows_in_no_order_the_later_of_two_is_the_second_and_in_doubt():
    assert second("2:15 3:00 2:00 1:45 2:15 2:45 2:00 2:30") == ([4, 6], [4, 6])


def test_each_series_speaks_for_itself():
    # Series 0 has both times, 1 was kept once, and 2 comes newest first.
    times = "1:45 1:45 2:00 2:00 3:00 2:00 3:00 2:00 2:00 3:00 1:45"
    assert second(times, [0, 1, 0, 1, 2, 0, 1, 2, 2, 0, 2]) == ([5, 7], [])


def test_the_same_night_of_every_year_is_looked_at():
    nights = ["2022-10-30T02:00", "2023-10-29T02:00", "2024-10-27T02:00"]
    rows = np.array(sorted(nights * 2), "datetime64[us]")

    assert second_pass(rows, np.zeros(6, int), QUARTERS)[0].tolist() == [False, True] * 3


@pytest.mark.parametrize(("frequency", "zone"), [("D", "Europe/Madrid"), ("2h", "Europe/Madrid"), ("h", "UTC")])
def test_a_grid_on_which_no_time_comes_twice_has_no_second_time(frequency, zone):
    rows = clock("1:00 2:00 2:00 3:00")

    assert not second_pass(rows, np.zeros(4, int), TimeGrid(frequency, zone))[0].any()


def test_no_rows_are_no_trouble():
    assert second_pass(clock(""), np.zeros(0, int), QUARTERS)[0].shape == (0,)


@given(
    st.sets(st.integers(0, 23), max_size=12),
    st.booleans(),
    st.integers(1, 3),
)
def test_whole_series_with_gaps_outside_the_hour_are_always_told_apart(gaps, newest_first, count):
    start = datetime(2024, 10, 26, 22, 30, tzinfo=UTC)
    instants = [start + i * timedelta(minutes=15) for i in range(24)]
    shown = [instant.astimezone(MADRID) for instant in instants]
    kept = [i for i, time in enumerate(shown) if time.hour == 2 or i not in gaps]
    # Nothing but the rows beside the hour tells which way the source goes.
    kept = kept[::-1] if newest_first and any(shown[i].hour in (1, 3) for i in kept) else kept
    rows = np.array([shown[i].replace(tzinfo=None) for i in kept for _ in range(count)], "datetime64[us]")
    series = np.tile(np.arange(count), len(kept))

    again, in_doubt = second_pass(rows, series, QUARTERS)

    assert again.tolist() == [bool(shown[i].fold) for i in kept for _ in range(count)]
    assert not in_doubt.any()
