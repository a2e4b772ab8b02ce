"""Which nights were missed, by the cadence of those that were run: a job of hours may run once a day."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import numpy as np
import pandas as pd

from models.arrays import BoolArray, IntArray
from models.calendar.frequency import DAY
from models.calendar.grid import TimeGrid

WEEK = 7 * DAY
_WEEKS_BACK = 4
# With fewer nights, the cadence of a job is unknown.
_FEWEST_NIGHTS = 3


def missed_nights(
    nights: Sequence[datetime], first: datetime, last: datetime, grid: TimeGrid, tonight: datetime | None = None
) -> list[datetime] | None:
    """The cutoffs from `first` to `last` at which the job's cadence expects a night, and none was run.

    The cadence is the commonest distance between nights of the newest four weeks, or the longest of several equally
    common ones. It is measured in local time where steps are shorter than a day. If at least a week of nights is known,
    no night is expected at a time of the week that never had one: a job that rests at weekends misses no night then. A
    cutoff less than half the distance from a night that was run counts as run, because sources are sometimes late.

    Args:
        nights: Cutoffs that were run, with a zone, in any order.
        first: The first cutoff to look at, with a zone.
        last: The last one, with a zone.
        grid: The job's time grid.
        tonight: A cutoff that is about to be run. It is not missing, and not part of the cadence yet.

    Returns:
        UTC instants of the grid, oldest first; None where fewer than three nights are known.

    >>> from datetime import UTC
    >>> days = [datetime(2024, 3, day, tzinfo=UTC) for day in (1, 2, 3, 6)]
    >>> [night.day for night in missed_nights(days[:3], days[2], days[3], TimeGrid("D"), tonight=days[3])]
    [4, 5]
    """
    if len(nights) < _FEWEST_NIGHTS:
        return None
    known = np.unique(grid.to_index(pd.DatetimeIndex(list(nights)))[0])
    bounds = grid.to_index(pd.DatetimeIndex([first, last, tonight or nights[0]]))[0]
    by_clock = grid.step_seconds < 86_400
    # Microseconds of local time, or grid positions.
    times, ends = (_clock(grid, each) if by_clock else each for each in (known, bounds))
    recent = times[_clock(grid, known) >= _clock(grid, known[-1:]) - _WEEKS_BACK * WEEK]
    if len(recent) < _FEWEST_NIGHTS:
        recent = times[-_FEWEST_NIGHTS:]
    gap = _commonest(np.diff(recent))
    if gap is None:
        return None
    begin, end = (int(-(-(ends[0] - times[-1]) // gap)), int((ends[1] - times[-1]) // gap))
    expected = times[-1] + gap * np.arange(begin, end + 1)
    expected = expected[2 * _distance(expected, np.union1d(times, ends[2:])) >= gap]
    index = grid.to_index(expected.astype("datetime64[us]"))[0] if by_clock else expected
    length = gap if by_clock else gap * grid.step_seconds * 1e6
    index = np.unique(index[_is_usual(_clock(grid, index), _clock(grid, known), length)])
    return [grid.instant(int(each)) for each in index]


def _commonest(gaps: IntArray) -> int | None:
    lengths, counts = np.unique(gaps[gaps > 0], return_counts=True)
    return int(lengths[counts == counts.max()].max()) if len(lengths) else None


def _distance(places: IntArray, nights: IntArray) -> IntArray:
    """The distance of each place from the nearest night."""
    after = np.clip(np.searchsorted(nights, places), 1, len(nights) - 1)
    nearest: IntArray = np.minimum(np.abs(places - nights[after - 1]), np.abs(places - nights[after]))
    return nearest


def _is_usual(expected: IntArray, nights: IntArray, gap: float) -> BoolArray:
    """Whether the newest weeks had a night at that time of the week; True where less than a week is known.

    Args:
        expected: Shape (n,), local times in microseconds.
        nights: Those of the nights that were run, ascending.
        gap: Distance between nights, in microseconds.
    """
    nights = nights[nights >= nights[-1] - _WEEKS_BACK * WEEK]
    if gap > WEEK or nights[-1] - nights[0] < WEEK or not len(expected):
        return np.ones(len(expected), bool)
    times = np.unique(nights % WEEK)
    around = np.concatenate([times[-1:] - WEEK, times, times[:1] + WEEK])
    usual: BoolArray = 2 * _distance(expected % WEEK, around) < gap
    return usual


def _clock(grid: TimeGrid, index: IntArray) -> IntArray:
    """Local times of grid positions, in microseconds since 1970."""
    return np.asarray(grid.to_local(index)).astype("datetime64[us]").astype(np.int64)
