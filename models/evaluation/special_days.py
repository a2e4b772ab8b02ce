"""Days that are unlike those which the seasonal naive repeats, by what was known ahead of them.

A promotion that the naive's day had not, or a public holiday, is no news to a network that reads them, and makes the
naive wrong. How many such days an evaluation holds moves the ratio of both losses although no forecast is worse.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

import numpy as np

from models.arrays import BoolArray, Float32Array, IntArray, StringArray
from models.baselines.seasonal_naive import RECENT_SEASONS
from models.calendar.public_holidays import holiday_features
from models.panel.panel import Panel, places_of

# What changes more often than this from one season to the next, such as a temperature, tells no kinds of days apart.
MOST_CHANGES = 0.5
# An even sample of so many series tells how often a covariate changes.
SAMPLE = 500


@dataclass(frozen=True)
class KindsOfDays:
    """What tells the days of a job apart.

    Attributes:
        columns: Known-future covariates that do.
        left_out: Those that do not, for they change with nearly every season.
        holidays: Places whose public holidays do.
    """

    columns: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    holidays: tuple[str, ...] = ()

    @classmethod
    def of(cls, panel: Panel, before: str | None = None) -> KindsOfDays:
        """What tells a panel's days apart.

        Args:
            panel: The series, with what was known ahead.
            before: The `text` of an earlier evaluation. It holds as long as the job offers the same: evaluations whose
                days were told apart by something else cannot be compared, and a night may have read too little to
                choose.
        """
        found = cls._of_text(before)
        offered = sorted(panel.known_future_names)
        if sorted(found.columns + found.left_out) == offered and found.holidays == panel.holidays:
            return found
        counts = [name for name in offered if _is_kind_of_day(panel, _column(panel, name))]
        return cls(tuple(counts), tuple(name for name in offered if name not in counts), panel.holidays)

    @property
    def text(self) -> str | None:
        """All of it as one line to be kept; None where the job offers nothing that could tell days apart."""
        return json.dumps(asdict(self)) if self != KindsOfDays() else None

    @classmethod
    def _of_text(cls, text: str | None) -> KindsOfDays:
        return cls(**{name: tuple(values) for name, values in json.loads(text).items()}) if text else cls()


class UnlikeDays:
    """Which points of a panel's past and horizon are unlike the ones that the seasonal naive repeats for them.

    Args:
        panel: The series, with what was known ahead.
        kinds: What tells their days apart.
        among: Shape (series,), ids in the order in which `at` counts them, the panel's own where None; of those that
            are not in the panel, such as aggregates, public holidays alone are known.
    """

    def __init__(self, panel: Panel, kinds: KindsOfDays, among: StringArray | None = None) -> None:
        self._panel, self._season = panel, panel.season_lengths[0]
        self._place = np.arange(len(panel)) if among is None else places_of(among, panel.series_ids)
        self._first = panel.cutoff_index + 1 - panel.lengths
        self._columns = [_column(panel, name) for name in kinds.columns]
        self._from, self._holidays = _holidays_of(panel, kinds.holidays)

    def at(self, series: IntArray, cutoff_index: int | IntArray, step: IntArray) -> BoolArray:
        """Whether points are unlike the ones that the naive repeats; False where that is not known.

        Args:
            series: Shape (...), their series.
            cutoff_index: Grid position of their night's cutoff.
            step: Shape (...) or one that goes with it, 1 for the first step after the cutoff.
        """
        mine, target, step = np.broadcast_arrays(self._place[series], np.asarray(cutoff_index + step), step)
        source = self._repeated(mine, target - self._season * -(-step // self._season))
        unlike = (self._holiday(target) != self._holiday(source)).any(axis=-1)
        # Neither before a series begins nor beyond its horizon.
        known = self._begun(mine, source) & (target <= self._panel.cutoff_index + self._panel.horizon)
        here, there = (self._rows(mine, place, known, self._panel.horizon) for place in (target, source))
        for column in self._columns:
            unlike[known] |= _differs(column[here], column[there])
        return np.asarray(unlike)

    def _repeated(self, mine: IntArray, source: IntArray) -> IntArray:
        """The days whose values the naive repeats: where one has none, it takes the season before's."""
        source = source.copy()
        for _ in range(RECENT_SEASONS - 1):
            inside = self._begun(mine, source)
            gap = inside.copy()
            gap[inside] = np.isnan(self._panel.values[self._rows(mine, source, inside, 0)])
            if not gap.any():
                break
            source[gap] -= self._season
        return source

    def _begun(self, mine: IntArray, place: IntArray) -> BoolArray:
        """Where a series is in the panel and has begun by a grid position."""
        return np.asarray((mine >= 0) & (place >= self._first[mine] if len(self._first) else False))

    def _rows(self, mine: IntArray, place: IntArray, known: BoolArray, ahead: int) -> IntArray:
        """Flat rows of grid positions, of those that are known; every series has `ahead` rows more than values."""
        which = mine[known]
        return np.asarray(self._panel.offsets[which] + ahead * which + place[known] - self._first[which])

    def _holiday(self, position: IntArray) -> Float32Array:
        """How many holidays each place has at grid positions, shape (..., place)."""
        return np.asarray(self._holidays[np.clip(position - self._from, 0, len(self._holidays) - 1)])


def _column(panel: Panel, name: str) -> Float32Array:
    """A known-future covariate, shape (total + series * horizon,)."""
    assert panel.known_future is not None
    return panel.known_future[:, panel.known_future_names.index(name)]


def _is_kind_of_day(panel: Panel, column: Float32Array) -> bool:
    """Whether a known-future covariate, where it is known, mostly is what it was a season before."""
    season, changes, pairs = panel.season_lengths[0], 0, 0
    for series in range(0, len(panel), max(len(panel) // SAMPLE, 1)):
        first = panel.offsets[series] + series * panel.horizon
        mine = column[first : first + panel.lengths[series] + panel.horizon]
        here, there = mine[season:], mine[:-season]
        changes += int(np.count_nonzero(_differs(here, there)))
        pairs += int(np.count_nonzero(~np.isnan(here) & ~np.isnan(there)))
    return pairs > 0 and changes <= MOST_CHANGES * pairs


def _holidays_of(panel: Panel, places: tuple[str, ...]) -> tuple[int, Float32Array]:
    """A grid position and what holidays there are from it to the end of the horizon, shape (position, place)."""
    first = panel.cutoff_index + 1 - int(panel.lengths.max(initial=0)) - panel.season_lengths[0]
    last = panel.cutoff_index + panel.horizon
    if not places:
        return first, np.zeros((last - first + 1, 0), np.float32)
    features, names = holiday_features(panel.grid, first, last, places)
    return first, features[:, [name.startswith("holiday_") for name in names]]


def _differs(here: Float32Array, there: Float32Array) -> BoolArray:
    """Where two numbers are known and not the same."""
    return np.asarray((here != there) & ~np.isnan(here) & ~np.isnan(there))
