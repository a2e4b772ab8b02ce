"""Which rows of an hour that the clocks showed twice belong to the second time.

A timestamp without a zone cannot tell. The rows of a series can: two rows of one local time show that the source keeps
both hours, and their order in the source shows which is which.
"""

from __future__ import annotations

import numpy as np

from models.arrays import BoolArray, DatetimeArray, IntArray
from models.calendar.grid import TimeGrid


def second_pass(moments: DatetimeArray, series: IntArray, grid: TimeGrid) -> tuple[BoolArray, BoolArray]:
    """Rows that belong to the second time that the clocks showed an hour.

    Two rows of one series and local time are the two times, in the order of the source; in the reverse order where the
    rows around them come newest first. If the rows of such an hour go back in time once, all rows after that belong to
    the second time, also those without a twin. Otherwise a single row belongs to the first time. Three rows of one
    time are duplicates, and so are pairs among rows that mostly come in pairs.

    Args:
        moments: Shape (row,), datetime64[us] without a zone, in the order of the source.
        series: Shape (row,), the series of each.
        grid: The grid, in whose zone the timestamps are read.

    Returns:
        Shape (row,) each: whether a row belongs to the second time; and whether that is in doubt, because the rows of
        its series are in no order of time, and only its later place in the source speaks for it.

    >>> clock = np.array(["2024-10-27T01", "2024-10-27T02", "2024-10-27T02", "2024-10-27T03"], "M8[us]")
    >>> second_pass(clock, np.zeros(4, int), TimeGrid("h", "Europe/Madrid"))[0]
    array([False, False,  True, False])
    """
    clock = moments.astype(np.int64)
    again, in_doubt = np.zeros((2, len(clock)), bool)
    oldest, newest = clock.min(initial=np.iinfo(np.int64).max), clock.max(initial=np.iinfo(np.int64).min)
    for begin, end in zip(*grid.repeated, strict=True):
        if end <= oldest or begin > newest:
            continue
        around = np.flatnonzero((clock >= 2 * begin - end) & (clock < 2 * end - begin))
        again[around], in_doubt[around] = _second_of(clock[around], series[around], begin, end)
    return again, in_doubt


def near_repeats(moments: DatetimeArray, grid: TimeGrid) -> BoolArray:
    """Rows that `second_pass` looks at: in an hour shown twice, and in as much time before and after; shape (row,)."""
    begin, end = grid.repeated
    clock = moments.astype(np.int64)
    first, last = 2 * begin - end, np.maximum.accumulate(2 * end - begin)
    latest = np.searchsorted(first, clock, side="right") - 1
    return (latest >= 0) & (clock < last[latest])


def _second_of(clock: IntArray, series: IntArray, begin: int, end: int) -> tuple[BoolArray, BoolArray]:
    """As `second_pass`, for the rows of one such hour and of as much time before and after it."""
    ids, series = np.unique(series, return_inverse=True)
    hour = (clock >= begin) & (clock < end)
    twin, count = _same_times(clock, series)
    paired = hour & (count == 2) & ~_mostly_doubled(series[~hour], twin[~hour], len(ids))[series]
    ordered, newest_first = _order(clock, series, len(ids), begin, end)
    row = np.arange(len(clock))
    place = np.where(newest_first[series], -row, row)

    again = np.zeros(len(clock), bool)
    by_time = np.lexsort((place, clock, series))
    by_time = by_time[paired[by_time]]
    again[by_time[1::2]] = True

    by_place = np.lexsort((place, series))
    by_place = by_place[hour[by_place]]
    goes_back = np.zeros(len(by_place), bool)
    goes_back[1:] = (np.diff(series[by_place]) == 0) & (np.diff(clock[by_place]) < 0)
    once = np.bincount(series[by_place], goes_back, minlength=len(ids)) == 1
    has_pair = np.bincount(series, paired, minlength=len(ids)) > 0
    in_order = (once & has_pair & ordered)[series]
    first_of_series = np.searchsorted(series[by_place], series[by_place])
    turns = np.cumsum(goes_back)
    after_turn = np.zeros(len(clock), bool)
    after_turn[by_place] = turns > turns[first_of_series]
    return np.where(in_order, after_turn, again), again & ~ordered[series]


def _same_times(clock: IntArray, series: IntArray) -> tuple[BoolArray, IntArray]:
    """For each row: whether an earlier one has its series and time, and how many rows have them in all."""
    order = np.lexsort((clock, series))
    same = np.zeros(len(order), bool)
    same[1:] = (np.diff(series[order]) == 0) & (np.diff(clock[order]) == 0)
    time = np.cumsum(~same) - 1
    twin, count = np.empty_like(same), np.empty_like(time)
    twin[order] = same
    count[order] = np.bincount(time, minlength=1)[time]
    return twin, count


def _mostly_doubled(series: IntArray, twin: BoolArray, count: int) -> BoolArray:
    """Series whose times around the hour mostly occur twice: they were loaded twice. Shape (series,)."""
    doubled = np.bincount(series, twin, minlength=count)
    times = np.bincount(series, ~twin, minlength=count)
    return 2 * doubled > times


def _order(clock: IntArray, series: IntArray, count: int, begin: int, end: int) -> tuple[BoolArray, BoolArray]:
    """Whether a series' rows before, within and after the hour are in order in the source, and whether newest first.

    Shape (series,) each. A series without rows before and after counts as in order, oldest first.
    """
    row = np.arange(len(clock))
    part = (clock >= begin).astype(np.int64) + (clock >= end)
    first, last = np.full((3, count), len(clock)), np.full((3, count), -1)
    np.minimum.at(first, (part, series), row)
    np.maximum.at(last, (part, series), row)
    forwards = (last[0] < first[1]) & (last[1] < first[2])
    backwards = (last[2] < first[1]) & (last[1] < first[0])
    return forwards | backwards, backwards & ~forwards
