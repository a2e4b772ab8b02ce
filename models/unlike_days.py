"""Days that are unlike those which the seasonal naive repeats, by what was known ahead of them.

A promotion that the naive's day had not, or a public holiday, is no news to a network that reads them, and makes the
naive wrong. How many such days an evening holds moves the ratio of both losses although no forecast is worse.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from models.panel import Panel, places_of
from models.public_holidays import holiday_features
from models.time_grid import TimeGrid

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float32]

# What changes more often than this from one season to the next, such as a temperature, tells no kinds of days apart.
MOST_CHANGES = 0.5
# An even sample of so many series tells how often a covariate changes.
SAMPLE = 500


class UnlikeDays:
    """Which points of a panel's past and horizon are unlike the ones that the seasonal naive repeats for them.

    Args:
        panel: The series, with what was known ahead.
        among: Shape (series,), ids in the order in which `at` counts them, the panel's own where None; of those that
            are not in the panel, such as upper series, public holidays alone are known.
    """

    def __init__(self, panel: Panel, among: npt.NDArray[np.str_] | None = None) -> None:
        self._panel, self._season = panel, panel.season_lengths[0]
        self._place = np.arange(len(panel)) if among is None else places_of(among, panel.series_ids)
        self._first = panel.cutoff_index + 1 - panel.lengths
        self._row = panel.offsets[:-1] + panel.horizon * np.arange(len(panel))
        known = panel.known_future
        self._columns = [] if known is None else [each for each in known.T if self._is_kind_of_day(each)]
        self._from, self._holidays = self._holidays_of(panel)

    def at(self, series: IntArray, cutoff_index: int | IntArray, step: IntArray) -> BoolArray:
        """Whether points are unlike the ones that the naive repeats; False where that is not known.

        Args:
            series: Shape (...), their series.
            cutoff_index: Grid position of their night's cutoff.
            step: Shape (...) or one that goes with it, 1 for the first step after the cutoff.
        """
        target = np.asarray(cutoff_index + step)
        source = target - self._season * -(-np.asarray(step) // self._season)
        differs = (self._holiday(target) != self._holiday(source)).any(axis=-1)
        unlike = np.broadcast_to(differs, np.broadcast(series, target).shape)
        if not self._columns or not len(self._panel):
            return np.asarray(unlike)
        mine = self._place[series]
        # Neither before a series begins nor beyond its horizon.
        known = (mine >= 0) & (source >= self._first[mine])
        known &= target <= self._panel.cutoff_index + self._panel.horizon
        row = np.where(known, self._row[mine] - self._first[mine], 0)
        here, there = (np.where(known, row + place, 0) for place in (target, source))
        for column in self._columns:
            unlike = unlike | (known & _differs(column[here], column[there]))
        return np.asarray(unlike)

    def _is_kind_of_day(self, column: FloatArray) -> bool:
        """Whether a known-future covariate mostly is what it was a season before."""
        panel, season = self._panel, self._season
        changes, pairs = 0, 0
        for series in range(0, len(panel), max(len(panel) // SAMPLE, 1)):
            mine = column[self._row[series] : self._row[series] + panel.lengths[series] + panel.horizon]
            changes += int(np.count_nonzero(_differs(mine[season:], mine[:-season])))
            pairs += max(len(mine) - season, 0)
        return changes <= MOST_CHANGES * pairs

    def _holidays_of(self, panel: Panel) -> tuple[int, FloatArray]:
        """A grid position and what holidays there are from it to the end of the horizon, shape (position, place)."""
        season = panel.season_lengths[0]
        first = panel.cutoff_index + 1 - int(panel.lengths.max(initial=0)) - season
        last = panel.cutoff_index + panel.horizon
        if not panel.holidays:
            return first, np.zeros((last - first + 1, 0), np.float32)
        features, names = holiday_features(TimeGrid(panel.frequency, panel.time_zone), first, last, panel.holidays)
        return first, features[:, [name.startswith("holiday_") for name in names]]

    def _holiday(self, position: IntArray) -> FloatArray:
        """How many holidays each place has at grid positions, shape (..., place)."""
        return np.asarray(self._holidays[np.clip(position - self._from, 0, len(self._holidays) - 1)])


def _differs(here: FloatArray, there: FloatArray) -> BoolArray:
    """Where two numbers are known and not the same."""
    return np.asarray((here != there) & ~np.isnan(here) & ~np.isnan(there))
