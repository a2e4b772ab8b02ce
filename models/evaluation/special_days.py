"""Special days: days that differ, by what was known ahead, from the days that the seasonal naive repeats for them.

A promotion or a public holiday that the repeated day did not have is no surprise to a network that reads it, but makes
the naive wrong. So the share of special days in an evaluation moves the ratio of both losses although no forecast is
worse, and the comparison of evaluations has to account for it.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Self

import numpy as np

from models.arrays import BoolArray, Float32Array, IntArray, StringArray
from models.baselines.seasonal_naive import RECENT_SEASONS
from models.calendar.public_holidays import holiday_features
from models.panel.panel import Panel, places_of

# A covariate that changes with more than this share of the seasons, such as a temperature, makes no day special.
MOST_CHANGES = 0.5
# How many series are sampled, evenly, to count how often a covariate changes.
SAMPLE = 500


@dataclass(frozen=True)
class SpecialDayCriteria:
    """What makes a day of a job special.

    Attributes:
        columns: Known-future covariates that do, where they differ from the repeated day's.
        left_out: Known-future covariates that do not, since they change with nearly every season.
        holidays: Places whose public holidays do.
    """

    columns: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    holidays: tuple[str, ...] = ()

    @classmethod
    def choose(cls, panel: Panel, previous: str | None = None) -> Self:
        """The criteria of a panel.

        Args:
            panel: The series and their known-future covariates.
            previous: The `text` of an earlier evaluation. Its criteria hold as long as the job has the same covariates
                and holidays: evaluations with different criteria cannot be compared, and a night may have read too
                little history to choose.
        """
        kept = cls._of_text(previous)
        offered = sorted(panel.known_future_names)
        if sorted(kept.columns + kept.left_out) == offered and kept.holidays == panel.holidays:
            return kept
        columns = [name for name in offered if _changes_seldom(panel, _column(panel, name))]
        return cls(tuple(columns), tuple(name for name in offered if name not in columns), panel.holidays)

    @property
    def text(self) -> str | None:
        """The criteria as one line of JSON, for the tables; None where no day can be special."""
        return json.dumps(asdict(self)) if self != type(self)() else None

    @classmethod
    def _of_text(cls, text: str | None) -> Self:
        return cls(**{name: tuple(values) for name, values in json.loads(text).items()}) if text else cls()


class SpecialDays:
    """Tells which points of a panel's past and horizon are on special days.

    Args:
        panel: The series and their known-future covariates.
        criteria: What makes a day special.
        series_ids: Shape (series,), the ids that `at` counts in this order; the panel's own where None. For ids that
            the panel does not hold, such as aggregates, only public holidays make a day special.

    Attributes:
        definition: The `text` of the criteria.
    """

    def __init__(self, panel: Panel, criteria: SpecialDayCriteria, series_ids: StringArray | None = None) -> None:
        self.definition = criteria.text
        self._panel, self._season = panel, panel.season_lengths[0]
        self._place = np.arange(len(panel)) if series_ids is None else places_of(series_ids, panel.series_ids)
        self._first = panel.cutoff_index + 1 - panel.lengths
        self._columns = [_column(panel, name) for name in criteria.columns]
        self._holidays_from, self._holidays = _holidays(panel, criteria.holidays)

    def at(self, series: IntArray, cutoff_index: int | IntArray, step: IntArray) -> BoolArray:
        """Whether points are on special days; False where that is not known.

        Args:
            series: Shape (...), positions of their series.
            cutoff_index: Grid position of their night's cutoff.
            step: Shape (...) or one that broadcasts with it, 1 for the first step after the cutoff.

        Returns:
            The shape to which the arguments broadcast.
        """
        place, target, step = np.broadcast_arrays(self._place[series], np.asarray(cutoff_index + step), step)
        repeated = self._repeated(place, target - self._season * -(-step // self._season))
        special = (self._holidays_on(target) != self._holidays_on(repeated)).any(axis=-1)
        # A covariate is known from the beginning of its series to the end of the horizon.
        known = self._begun(place, repeated) & (target <= self._panel.cutoff_index + self._panel.horizon)
        target_row, repeated_row = (
            self._rows(place[known], position[known], self._panel.horizon) for position in (target, repeated)
        )
        for column in self._columns:
            special[known] |= _differs(column[target_row], column[repeated_row])
        return np.asarray(special)

    def _repeated(self, place: IntArray, position: IntArray) -> IntArray:
        """Grid positions of the values that the naive repeats: it skips back a season where one is missing."""
        position = position.copy()
        for _ in range(RECENT_SEASONS - 1):
            missing = self._begun(place, position)
            missing[missing] = np.isnan(self._panel.values[self._rows(place[missing], position[missing])])
            if not missing.any():
                break
            position[missing] -= self._season
        return position

    def _begun(self, place: IntArray, position: IntArray) -> BoolArray:
        """Where the panel holds a series, and the series has begun by a grid position."""
        if not len(self._panel):
            return np.zeros(place.shape, bool)
        return np.asarray((place >= 0) & (position >= self._first[place]))

    def _rows(self, place: IntArray, position: IntArray, steps_ahead: int = 0) -> IntArray:
        """Rows of grid positions in a flat column that has `steps_ahead` rows of each series beyond its values."""
        return np.asarray(self._panel.offsets[place] + steps_ahead * place + position - self._first[place])

    def _holidays_on(self, position: IntArray) -> Float32Array:
        """Holidays of each of the criteria's places at grid positions, shape (..., place)."""
        return np.asarray(self._holidays[np.clip(position - self._holidays_from, 0, len(self._holidays) - 1)])


def _column(panel: Panel, name: str) -> Float32Array:
    """A known-future covariate, shape (total + series * horizon,)."""
    if panel.known_future is None:
        raise ValueError(f"The panel has no known-future covariate {name!r}; it has none at all.")
    return panel.known_future[:, panel.known_future_names.index(name)]


def _changes_seldom(panel: Panel, column: Float32Array) -> bool:
    """Whether a known-future covariate, where it is known, mostly is what it was a season before."""
    season, changes, pairs = panel.season_lengths[0], 0, 0
    for series in range(0, len(panel), max(len(panel) // SAMPLE, 1)):
        first = panel.offsets[series] + series * panel.horizon
        values = column[first : first + panel.lengths[series] + panel.horizon]
        later, earlier = values[season:], values[:-season]
        changes += int(np.count_nonzero(_differs(later, earlier)))
        pairs += int(np.count_nonzero(~np.isnan(later) & ~np.isnan(earlier)))
    return pairs > 0 and changes <= MOST_CHANGES * pairs


def _holidays(panel: Panel, places: tuple[str, ...]) -> tuple[int, Float32Array]:
    """Holidays of some places over the panel's history and horizon.

    Returns:
        The first grid position, and for each from it on the holidays of each place, shape (position, place).
    """
    first = panel.cutoff_index + 1 - int(panel.lengths.max(initial=0)) - panel.season_lengths[0]
    last = panel.cutoff_index + panel.horizon
    if not places:
        return first, np.zeros((last - first + 1, 0), np.float32)
    features, names = holiday_features(panel.grid, first, last, places)
    return first, features[:, [name.startswith("holiday_") for name in names]]


def _differs(one: Float32Array, other: Float32Array) -> BoolArray:
    """Where two numbers are known and not the same."""
    return np.asarray((one != other) & ~np.isnan(one) & ~np.isnan(other))
