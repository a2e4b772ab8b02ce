"""The fallback: a forecast for series that no model should forecast, however little is known of them.

What a series lacks it borrows from all the others. That is learnt from the whole panel once and is small, so that the
series themselves can be forecast a shard at a time, here or elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from models.arrays import FloatArray, IntArray
from models.baselines.seasonal_naive import grouped_quantiles, newest_of_season, observed_values
from models.panel.panel import Panel
from models.panel.shards import shards

# A spread from fewer seasonal differences says little; steps differ often enough to be counted instead.
ENOUGH_SEASONAL = 3
# Older differences tell more of what a series was than of what it is, and a night would have to read them.
RECENT_STEPS, RECENT_SEASONS = 200, 8


def spread_reach(season_length: int) -> int:
    """How many of the newest steps the spread around a fallback is taken from.

    >>> spread_reach(7), spread_reach(168)
    (200, 1344)
    """
    return max(RECENT_STEPS, RECENT_SEASONS * season_length)


def fallback(
    panel: Panel,
    horizon: int,
    quantile_levels: Sequence[float] | FloatArray,
    lower_bound: float | None = None,
    upper_bound: float | None = None,
) -> tuple[FloatArray, FloatArray]:
    """A forecast for every series of a panel at once, see `Fallback`.

    Args:
        panel: The series, all ending at the cutoff.
        horizon: Number of steps ahead.
        quantile_levels: Shape (level,), ascending, each in (0, 1).
        lower_bound: No forecast is below it.
        upper_bound: No forecast is above it.

    Returns:
        Quantiles of shape (series, horizon, level) and means of shape (series, horizon), as `Fallback.forecast`.
    """
    return Fallback.learn(panel, horizon, quantile_levels, lower_bound, upper_bound).forecast(panel)


@dataclass(frozen=True)
class Fallback:
    """What the fallback of a series leans on beside the series itself.

    The middle is the seasonal naive over the panel's shortest season. At a place of the season that a series has
    not shown yet it is the season of its group, scaled to what is known of the series, or else its last value. A
    group is all series of the same static categories, or the whole panel where it has none to learn from.

    Around the middle lie the quantiles of the series' own absolute seasonal differences, wider by the square root
    of the seasons ahead: differences of a stationary series are symmetric. Series with too few of those take their
    differences from value to value and the steps ahead; series with a single value take the spread that is usual in
    the panel for their size. A series that was never observed gets the quantiles of its group's forecasts; where
    there is none in the whole panel, 0.

    Attributes:
        horizon: Number of steps ahead.
        season_length: In steps.
        levels: Shape (level,), ascending, each in (0, 1).
        lower_bound, upper_bound: No forecast is below or above; None for no bound.
        group: Shape (series,), each series' group.
        shapes: Shape (group, season), the usual season over its mean, counted back from the end; None where no
            series lacks a place or none has a whole season.
        usual_spread: Shape (horizon, level), distance from the middle over its size; None where nobody needs it.
        unobserved: For each group with a series without any value, its quantiles (level, season) and middle (season,).

    Source: Hyndman & Athanasopoulos, Forecasting: Principles and Practice, section 5.5, for the widening.
    """

    horizon: int
    season_length: int
    levels: FloatArray
    lower_bound: float | None
    upper_bound: float | None
    group: IntArray
    shapes: FloatArray | None = None
    usual_spread: FloatArray | None = None
    unobserved: dict[int, tuple[FloatArray, FloatArray]] | None = None

    @classmethod
    def learn(
        cls,
        panel: Panel,
        horizon: int,
        quantile_levels: Sequence[float] | FloatArray,
        lower_bound: float | None = None,
        upper_bound: float | None = None,
    ) -> Fallback:
        """Look at a whole panel, a shard at a time; arguments as of `fallback`."""
        season_length = panel.season_lengths[0] if panel.season_lengths else 1
        levels = np.asarray(quantile_levels, np.float64)
        bare = cls(horizon, season_length, levels, lower_bound, upper_bound, _groups(panel))
        parts = [panel.part(series) for series in shards(len(panel))]
        seasons = [newest_of_season(part, season_length) for part in parts]
        if not seasons:
            return bare
        newest, last = (np.concatenate(each) for each in zip(*seasons, strict=True))
        shaped = replace(bare, shapes=_shapes(newest, last, bare.group))
        profile = shaped._profile(newest, last)
        recent = spread_reach(season_length)
        usual = None
        # Whoever has two values has a difference of its own.
        if any((part.newest(recent).observed_counts < 2).any() for part in parts):
            usual = shaped._usual_spread([shaped._own_spread(part) for part in parts], np.abs(profile))
        return replace(shaped, usual_spread=usual, unobserved=_unobserved(profile, levels, bare.group))

    def of(self, series: slice | IntArray) -> Fallback:
        """The fallback of some of the series."""
        groups, group = np.unique(self.group[series], return_inverse=True)
        lacking = self.unobserved or {}
        return replace(
            self,
            group=group.astype(np.int64),
            shapes=None if self.shapes is None else self.shapes[groups],
            unobserved={place: lacking[each] for place, each in enumerate(groups.tolist()) if each in lacking},
        )

    def forecast(self, panel: Panel) -> tuple[FloatArray, FloatArray]:
        """Forecast the series that this is the fallback of.

        Args:
            panel: Those series, all ending at the cutoff.

        Returns:
            Quantiles of shape (series, horizon, level) and means of shape (series, horizon), in the units of the
            series; never NaN, never crossing. The mean is the middle.
        """
        middle = self._profile(*newest_of_season(panel, self.season_length))[:, self._places]
        spread = self._spread(*self._own_spread(panel), np.arange(1, self.horizon + 1))
        unknown = np.isnan(spread[:, 0, 0])
        if self.usual_spread is not None:
            spread[unknown] = self.usual_spread * np.abs(middle[unknown, :, None])
        quantiles = middle[:, :, None] + np.sign(self.levels - 0.5) * spread
        for group, (of_group, its_middle) in (self.unobserved or {}).items():
            mine = np.isnan(middle[:, 0]) & (self.group == group)
            quantiles[mine], middle[mine] = of_group.T[self._places], its_middle[self._places]
        bounds = self.lower_bound, self.upper_bound
        return np.clip(quantiles, *bounds), np.clip(middle, *bounds)

    @property
    def _places(self) -> IntArray:
        """Shape (horizon,), where each step lies in the season, counted back from the end."""
        # One step ahead lies at the place that is season_length - 1 before the end.
        return -np.arange(1, self.horizon + 1) % self.season_length

    def _profile(self, newest: FloatArray, last: FloatArray) -> FloatArray:
        """What is forecast at each place of the season, from `newest_of_season`.

        Shape (series, season); NaN where a series has no value.
        """
        naive = np.where(np.isnan(newest), last[:, None], newest)
        lacking = np.isnan(newest).any(axis=1) & ~np.isnan(last)
        if self.shapes is None or not lacking.any():
            return naive
        of_group, unknown = self.shapes[self.group[lacking]], np.isnan(newest[lacking])
        known = np.where(unknown, 0.0, newest[lacking])
        under = np.where(unknown, 0.0, of_group).sum(axis=1)
        # What is known may lie where the group has nothing, and tells no level then.
        scale = np.where(under > 0, known.sum(axis=1) / np.where(under > 0, under, 1.0), np.nan)
        filled = np.where(unknown, of_group * scale[:, None], np.nan)
        naive[lacking] = np.where(np.isfinite(filled), filled, naive[lacking])
        return naive

    def _own_spread(self, panel: Panel) -> tuple[FloatArray, FloatArray]:
        """Quantiles of each series' seasonal differences and of those from value to value.

        Both of shape (series, level); NaN where there are not enough.
        """
        season_length, share = self.season_length, np.abs(2 * self.levels - 1)
        series, before_end, values = observed_values(panel)
        recent = before_end < spread_reach(season_length)
        series, before_end, values = series[recent], before_end[recent], values[recent]
        position = panel.offsets[series + 1] - 1 - before_end
        earlier = position - season_length
        inside = earlier >= panel.offsets[series]
        # float64 before the subtraction: two values near the float32 limit would overflow.
        seasonal = values - panel.values[np.where(inside, earlier, 0)].astype(np.float64)
        paired = inside & ~np.isnan(seasonal)
        follows = np.flatnonzero(series[1:] == series[:-1]) + 1
        stepwise = values[follows] - values[follows - 1]
        by_season = grouped_quantiles(np.abs(seasonal[paired]), series[paired], len(panel), share)
        by_step = grouped_quantiles(np.abs(stepwise), series[follows], len(panel), share)
        enough = np.bincount(series[paired], minlength=len(panel)) >= ENOUGH_SEASONAL
        return np.where(enough[:, None], by_season, np.nan), by_step

    def _spread(self, by_season: FloatArray, by_step: FloatArray, steps: IntArray) -> FloatArray:
        """Distance of each quantile from the middle, shape (series, step, level); NaN where nothing differs."""
        seasons_ahead, steps_ahead = np.sqrt(np.ceil(steps / self.season_length)), np.sqrt(steps)
        seasonal = by_season[:, None] * seasons_ahead[:, None]
        return np.where(np.isnan(seasonal), by_step[:, None] * steps_ahead[:, None], seasonal)

    def _usual_spread(self, own: list[tuple[FloatArray, FloatArray]], size: FloatArray) -> FloatArray:
        """The spread that is usual for a value of 1, shape (horizon, level); one step at a time.

        `own` is of each shard, see `_own_spread`; `size` of what is forecast, shape (series, season).
        """
        by_season, by_step = (np.concatenate(each) for each in zip(*own, strict=True))
        unknown = np.isnan(by_season[:, 0]) & np.isnan(by_step[:, 0])
        comparable = ~unknown & (size[:, np.unique(self._places)].min(axis=1) > 0)
        usual = np.zeros((self.horizon, len(self.levels)))
        if comparable.any():
            by_season, by_step, size = by_season[comparable], by_step[comparable], size[comparable]
            for number, place in enumerate(self._places):
                spread = self._spread(by_season, by_step, np.array([number + 1]))[:, 0]
                usual[number] = np.median(spread / size[:, place, None], axis=0)
        return usual


def _groups(panel: Panel) -> IntArray:
    """The group of each series: the same static categories, the same number; shape (series,)."""
    group = np.zeros(len(panel), np.int64)
    for column in panel.static.values():
        _, category = np.unique(column, return_inverse=True)
        _, group = np.unique(group * (len(panel) + 1) + category, return_inverse=True)
    return group


def _shapes(newest: FloatArray, last: FloatArray, group: IntArray) -> FloatArray | None:
    """The season of each group over its mean, shape (group, season); None where no series needs it or tells it.

    Each series with a whole season tells a shape: its newest season over the mean of that. A group's shape is the
    median of those, and the panel's where the group has none.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        shape = newest / newest.mean(axis=1, keepdims=True)
    whole = np.isfinite(shape).all(axis=1) & (newest.min(axis=1) >= 0)
    lacking = np.isnan(newest).any(axis=1) & ~np.isnan(last)
    if not whole.any() or not lacking.any():
        return None
    medians = _medians(shape[whole], group[whole], int(group.max()) + 1)
    return np.where(np.isnan(medians), np.median(shape[whole], axis=0), medians)


def _medians(rows: FloatArray, group: IntArray, groups: int) -> FloatArray:
    """The median of each column over the rows of each group, shape (groups, column); NaN where a group has none."""
    columns = rows.shape[1]
    cell = group[:, None] * columns + np.arange(columns)
    return grouped_quantiles(rows.ravel(), cell.ravel(), groups * columns, np.array([0.5])).reshape(groups, columns)


def _unobserved(profile: FloatArray, levels: FloatArray, group: IntArray) -> dict[int, tuple[FloatArray, FloatArray]]:
    """For groups with series without any value, quantiles of the others' forecasts: see `Fallback.unobserved`."""
    unknown = np.isnan(profile[:, 0])
    found = {}
    everybody: tuple[FloatArray, FloatArray] | None = None
    for each in np.unique(group[unknown]).tolist():
        others = profile[~unknown & (group == each)]
        if len(others):
            found[each] = _quantiles(others, levels)
            continue
        if everybody is None:
            everybody = _quantiles(np.zeros((1, profile.shape[1])) if unknown.all() else profile[~unknown], levels)
        found[each] = everybody
    return found


def _quantiles(rows: FloatArray, levels: FloatArray) -> tuple[FloatArray, FloatArray]:
    return np.quantile(rows, levels, axis=0), np.quantile(rows, 0.5, axis=0)
