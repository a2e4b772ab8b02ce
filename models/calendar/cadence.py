"""Which nights are missing, told from those that were run: whoever runs a job daily does not miss every hour of it."""

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
# Of a job that has run less often nobody can say how often it should.
_FEWEST_NIGHTS = 3


def missed_nights(
    nights: Sequence[datetime], first: datetime, last: datetime, grid: TimeGrid, tonight: datetime | None = None
) -> list[datetime] | None:
    """The cutoffs from `first` to `last` at which the job's cadence asks for a night, and none was run.

    The cadence is the commonest distance between nights of the newest four weeks (of equally common ones the
    longest), counted on the zone's clock where steps are shorter than a day. Where at least a week of nights is known,
    no night is asked for at a time of the week at which there never was one: jobs that rest at weekends miss nothing
    on Mondays. A night that lies less than half the distance away counts as run: sources are late at times.

    Args:
        nights: Cutoffs that were run, with a zone, in any order.
        first: From here, included; with a zone.
        last: Up to here, included; with a zone.
        grid: The job's.
        tonight: A cutoff that is about to be run: not missing, and no part of the cadence yet.

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
    line, ends = (_clock(grid, each) if by_clock else each for each in (known, bounds))
    recent = line[_clock(grid, known) >= _clock(grid, known[-1:]) - _WEEKS_BACK * WEEK]
    if len(recent) < _FEWEST_NIGHTS:
        recent = line[-_FEWEST_NIGHTS:]
    gap = _commonest(np.diff(recent))
    if gap is None:
        return None
    begin, end = (int(-(-(ends[0] - line[-1]) // gap)), int((ends[1] - line[-1]) // gap))
    asked = line[-1] + gap * np.arange(begin, end + 1)
    asked = asked[2 * _distance(asked, np.union1d(line, ends[2:])) >= gap]
    index = grid.to_index(asked.astype("datetime64[us]"))[0] if by_clock else asked
    index = np.unique(index[_is_usual(_clock(grid, index), _clock(grid, known), gap, by_clock, grid)])
    return [grid.instant(int(each)) for each in index]


def _commonest(gaps: IntArray) -> int | None:
    lengths, counts = np.unique(gaps[gaps > 0], return_counts=True)
    return int(lengths[counts == counts.max()].max()) if len(lengths) else None


def _distance(places: IntArray, nights: IntArray) -> IntArray:
    """How far each place is from the nearest night."""
    after = np.clip(np.searchsorted(nights, places), 1, len(nights) - 1)
    nearest: IntArray = np.minimum(np.abs(places - nights[after - 1]), np.abs(places - nights[after]))
    return nearest


def _is_usual(asked: IntArray, nights: IntArray, gap: int, by_clock: bool, grid: TimeGrid) -> BoolArray:
    """Whether there was a night at that time of the week, in the newest weeks; True where no week is known."""
    nights = nights[nights >= nights[-1] - _WEEKS_BACK * WEEK]
    length = gap if by_clock else gap * grid.step_seconds * 1e6
    if length > WEEK or nights[-1] - nights[0] < WEEK or not len(asked):
        return np.ones(len(asked), bool)
    times = np.unique(nights % WEEK)
    around = np.concatenate([times[-1:] - WEEK, times, times[:1] + WEEK])
    usual: BoolArray = 2 * _distance(asked % WEEK, around) < length
    return usual


def _clock(grid: TimeGrid, index: IntArray) -> IntArray:
    """What the zone's clock shows, in microseconds since 1970."""
    return np.asarray(grid.to_local(index)).astype("datetime64[us]").astype(np.int64)
