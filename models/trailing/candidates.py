"""Simple forecasts of every series, which the network's median starts from, and how wrong each was lately.

The median starts from a mean of these forecasts, in which one that has erred less weighs more (Bates & Granger 1969,
doi 10.1057/jors.1969.103): last season's value where the season is clear, the last value where the series wanders, for
most something between.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from models.arrays import AnyArray, FloatArray, IntArray
from models.panel.panel import Panel
from models.trailing.smoothing import PROFILE_SPAN, exponentially_weighted
from models.trailing.window_shape import WindowShape

# Candidates are cut this many scales away from the level.
CANDIDATE_LIMIT = 50.0
# In scales: no error counts for more, and no mean of errors is smaller.
ERROR_LIMIT, SMALLEST_ERROR = 20.0, 1e-3
# The mean error of the others counts as so many errors of a candidate, so that one with a short past is not believed.
PRIOR_ERRORS = 2.0


class Candidates:
    """The simple forecasts of a panel.

    Args:
        panel: The series.
        scaling: The arrays of `scale_panel` by their names, laid out by flat position; NaN where not needed.
        window: Seasons, cycles, smoothing and profiles.

    Attributes:
        smoothed: Shape (total, weight): the exponentially weighted means, relative to the level, in scales.
        drift: Shape (total, weight * season): the same of the differences from a season before, in scales.
        profile: Shape (total, season * weight): the exponentially weighted mean of the values at the same place of the
            last cycles, in the units of the series; NaN where none was observed.
    """

    def __init__(self, panel: Panel, scaling: Mapping[str, AnyArray], window: WindowShape) -> None:
        self.window = window
        self.values = panel.values.astype(np.float64)
        self.place = np.arange(len(self.values)) - np.repeat(panel.offsets[:-1], panel.lengths)
        self.level, self.scale = (scaling[name].astype(np.float64) for name in ("level", "scale"))
        self.change = scaling["change"]
        levels = exponentially_weighted(self.values, self.place, window.smoothing)
        self.smoothed = _known((levels - self.level[:, None]) / self.scale[:, None])
        self.profile = self._profiles()
        drifts = []
        for season in window.seasons:
            difference = self.values - self._before(self.values, season)
            drifts.append(exponentially_weighted(difference, self.place, window.smoothing) / self.scale[:, None])
        self.drift = _known(np.stack(drifts, axis=2).reshape(len(self.values), -1))

    def _profiles(self) -> FloatArray:
        window = self.window
        parts = [
            exponentially_weighted(self.values, self.place, window.profile_weights, cycle=season, span=PROFILE_SPAN)
            for season in window.profile_seasons
        ]
        return np.concatenate([np.empty((len(self.values), 0)), *parts], axis=1)

    def errors(self, at: IntArray | None = None) -> FloatArray:
        """How wrong each candidate was over the last steps.

        Args:
            at: Shape (position,), the flat positions to look back from; None for all of them.

        Returns:
            Shape (position, column + 1), the logarithm of the mean absolute error over the steps of
            `window.error_window` and the leads of `window.error_leads`, in scales; the last column is the level's.
        """
        sums = [[self._sums(error, at) for error in self._errors_of(lead, at)] for lead in self.window.error_leads]
        # Over the leads; then (sum and number, position, column).
        total, seen = np.array(sums).sum(axis=0).transpose(1, 2, 0)
        usual = total.sum(axis=1, keepdims=True) / np.maximum(seen.sum(axis=1, keepdims=True), 1)
        # Where no candidate has a past, all are alike.
        usual = np.where(seen.any(axis=1, keepdims=True), usual, 1.0)
        mean = (total + PRIOR_ERRORS * usual) / (seen + PRIOR_ERRORS)
        return np.asarray(np.log(np.maximum(mean, SMALLEST_ERROR)))

    def _errors_of(self, lead: int, at: IntArray | None) -> Iterator[FloatArray]:
        """The absolute errors of each candidate some steps ahead, in scales of its origin, NaN where there is none.

        Each of shape (total,), or (position, step) for the last steps before some positions.
        """
        window, seasons = self.window, range(len(self.window.seasons))
        target = np.arange(len(self.values)) if at is None else at[:, None] - np.arange(window.error_window)
        inside = True if at is None else np.arange(window.error_window) <= self.place[at][:, None]
        target = np.where(inside, target, 0)
        place = self.place[target]
        origin = target - np.minimum(lead, place)
        level, scale = self.level[origin], self.scale[origin]
        actual = np.where(inside & (place >= lead), self.values[target], np.nan)

        def error(forecast: FloatArray) -> FloatArray:
            return np.minimum(np.abs(forecast - actual) / scale, ERROR_LIMIT)

        def before(distance: int) -> IntArray:
            return np.asarray(target - np.minimum(distance, place))

        lags = [
            np.where(place >= distance, self.values[before(distance)], np.nan)
            for distance in (int(lag) for lag in window.lags[lead - 1])
        ]
        yield from map(error, lags)
        for column in window.older:
            cycle_end = before(lead + int(window.cycle_starts[column]))
            yield error(level + (lags[column] - self.level[cycle_end]) * (scale / self.scale[cycle_end]))
        newest = [lags[column] for column in window.newest]
        for season in seasons:
            yield error(newest[season] + self.change[origin, season] * scale)
        for weight in range(len(window.smoothing)):
            for season in seasons:
                yield error(newest[season] + self.drift[origin, weight * len(seasons) + season] * scale)
        for weight in range(len(window.smoothing)):
            yield error(level + self.smoothed[origin, weight] * scale)
        count = len(window.profile_weights)
        for season, lag in enumerate(window.profile_columns):
            distance = int(window.lags[lead - 1, lag])
            for weight in range(count):
                profile = self.profile[before(distance), season * count + weight]
                yield error(np.where(place >= distance, profile, np.nan))
        yield error(level)

    def _sums(self, error: FloatArray, at: IntArray | None) -> tuple[FloatArray, FloatArray]:
        """Sum and number of the errors over the last steps, shape (position,) each."""
        seen = ~np.isnan(error)
        parts = np.where(seen, error, 0.0), seen.astype(np.float64)
        if at is not None:
            return parts[0].sum(axis=1), parts[1].sum(axis=1)
        back = np.minimum(self.window.error_window, self.place + 1)
        end = np.arange(1, len(error) + 1)
        running = [np.concatenate([[0.0], np.cumsum(part)]) for part in parts]
        return running[0][end] - running[0][end - back], running[1][end] - running[1][end - back]

    def _before(self, values: FloatArray, distance: int) -> FloatArray:
        """Values some steps earlier in the same series, NaN where it had not begun; shape (total,)."""
        place = np.arange(len(values))
        return np.where(self.place >= distance, values[place - np.minimum(distance, self.place)], np.nan)


def _known(figures: FloatArray) -> FloatArray:
    """Cut at the limit; 0, which is the level, where nothing is known."""
    return np.clip(np.nan_to_num(figures), -CANDIDATE_LIMIT, CANDIDATE_LIMIT)
