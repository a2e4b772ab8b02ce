"""The fallback: a forecast for series that no model should forecast, however little is known of them.

A series borrows what it lacks from the other series. What there is to borrow is learnt once from the whole panel and is
small, so that the series can then be forecast in shards, in this process or another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from models.arrays import FloatArray, IntArray
from models.baselines.seasonal_naive import grouped_quantiles, newest_of_season, observed_values
from models.panel.panel import Panel
from models.panel.shards import shards

# With fewer seasonal differences, the spread comes from the differences between neighbouring values.
ENOUGH_SEASONAL = 3
# The spread comes from these newest steps or seasons, whichever are more. Older differences say little about the
# present, and every night would have to read them.
RECENT_STEPS, RECENT_SEASONS = 200, 8


def history_needed(season_length: int) -> int:
    """Number of newest steps from which the spread of a fallback is taken.

    >>> history_needed(7), history_needed(168)
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
    """What the fallback of some series needs to know beside these series.

    The middle of a forecast is the seasonal naive over the panel's shortest season. Where a series has no value yet at
    a place of the season, the typical season of its group is used, scaled to the known values of the series; where
    that is impossible, its last value. A group is all series with the same static categories; a group without a whole
    season uses that of the whole panel.

    The quantiles around the middle are those of the series' own absolute seasonal differences, since differences of a
    stationary series are symmetric. They widen with the square root of the number of seasons ahead. A series with too
    few seasonal differences uses the differences between neighbouring values, which widen with the square root of the
    number of steps ahead. A series with a single value uses the spread that is typical in the panel for its size. A
    series that was never observed gets the quantiles of the forecasts of its group, or else of the panel; if the panel
    has none either, 0.

    Attributes:
        horizon: Number of steps ahead.
        season_length: In steps.
        quantile_levels: Shape (level,), ascending, each in (0, 1).
        lower_bound, upper_bound: No forecast is below or above; None for no bound.
        group: Shape (series,), the group of each series.
        shapes: Shape (group, season), the typical season divided by its mean, counted back from the end; None where no
            series needs it, or no series has a whole season.
        typical_spread: Shape (horizon, level), distance from the middle, divided by the size of the middle; None where
            no series needs it.
        unobserved: For each group with series that were never observed, their quantiles (level, season) and middle
            (season,).

    Source: Hyndman & Athanasopoulos, Forecasting: Principles and Practice, section 5.5, for the widening.
    """

    horizon: int
    season_length: int
    quantile_levels: FloatArray
    lower_bound: float | None
    upper_bound: float | None
    group: IntArray
    shapes: FloatArray | None = None
    typical_spread: FloatArray | None = None
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
        """Learn from a whole panel, shard by shard; the arguments are those of `fallback`."""
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
        recent = history_needed(season_length)
        typical = None
        # A series with two values has a difference of its own.
        if any((part.newest(recent).observed_counts < 2).any() for part in parts):
            typical = shaped._typical_spread([shaped._spreads(part) for part in parts], np.abs(profile))
        return replace(shaped, typical_spread=typical, unobserved=_unobserved(profile, levels, bare.group))

    def of(self, series: slice | IntArray) -> Fallback:
        """The fallback of a part of the series."""
        groups, group = np.unique(self.group[series], return_inverse=True)
        unobserved = self.unobserved or {}
        return replace(
            self,
            group=group.astype(np.int64),
            shapes=None if self.shapes is None else self.shapes[groups],
            unobserved={place: unobserved[each] for place, each in enumerate(groups.tolist()) if each in unobserved},
        )

    def forecast(self, panel: Panel) -> tuple[FloatArray, FloatArray]:
        """Forecast the series of this fallback.

        Args:
            panel: The series, all ending at the cutoff.

        Returns:
            Quantiles of shape (series, horizon, level) and means of shape (series, horizon), in the units of the
            series; never NaN, never crossing. The mean is the middle.
        """
        middle = self._profile(*newest_of_season(panel, self.season_length))[:, self._places]
        spread = self._spread(*self._spreads(panel), np.arange(1, self.horizon + 1))
        unknown = np.isnan(spread[:, 0, 0])
        if self.typical_spread is not None:
            spread[unknown] = self.typical_spread * np.abs(middle[unknown, :, None])
        quantiles = middle[:, :, None] + np.sign(self.quantile_levels - 0.5) * spread
        for group, (group_quantiles, group_middle) in (self.unobserved or {}).items():
            never = np.isnan(middle[:, 0]) & (self.group == group)
            quantiles[never], middle[never] = group_quantiles.T[self._places], group_middle[self._places]
        bounds = self.lower_bound, self.upper_bound
        return np.clip(quantiles, *bounds), np.clip(middle, *bounds)

    @property
    def _places(self) -> IntArray:
        """The place of each step in the season, counted back from the end; shape (horizon,)."""
        # One step ahead lies at the place that is season_length - 1 before the end.
        return -np.arange(1, self.horizon + 1) % self.season_length

    def _profile(self, newest: FloatArray, last: FloatArray) -> FloatArray:
        """The forecast at each place of the season, from the results of `newest_of_season`.

        Shape (series, season); NaN where a series has no value.
        """
        naive = np.where(np.isnan(newest), last[:, None], newest)
        incomplete = np.isnan(newest).any(axis=1) & ~np.isnan(last)
        if self.shapes is None or not incomplete.any():
            return naive
        shapes, unknown = self.shapes[self.group[incomplete]], np.isnan(newest[incomplete])
        known = np.where(unknown, 0.0, newest[incomplete])
        share = np.where(unknown, 0.0, shapes).sum(axis=1)
        # The known places may be those where the group's shape is 0; the scale is unknown then.
        scale = np.where(share > 0, known.sum(axis=1) / np.where(share > 0, share, 1.0), np.nan)
        filled = np.where(unknown, shapes * scale[:, None], np.nan)
        naive[incomplete] = np.where(np.isfinite(filled), filled, naive[incomplete])
        return naive

    def _spreads(self, panel: Panel) -> tuple[FloatArray, FloatArray]:
        """Quantiles of each series' absolute seasonal differences, and of those between neighbouring values.

        Both of shape (series, level); NaN where there are too few differences.
        """
        season_length, share = self.season_length, np.abs(2 * self.quantile_levels - 1)
        series, before_end, values = observed_values(panel)
        recent = before_end < history_needed(season_length)
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
        """Distance of each quantile from the middle, shape (series, step, level); NaN where no spread is known."""
        seasons_ahead, steps_ahead = np.sqrt(np.ceil(steps / self.season_length)), np.sqrt(steps)
        seasonal = by_season[:, None] * seasons_ahead[:, None]
        return np.where(np.isnan(seasonal), by_step[:, None] * steps_ahead[:, None], seasonal)

    def _typical_spread(self, spreads: list[tuple[FloatArray, FloatArray]], size: FloatArray) -> FloatArray:
        """The spread around a middle of 1, the median over series; shape (horizon, level), one step at a time.

        Args:
            spreads: Of each shard, see `_spreads`.
            size: Shape (series, season), absolute values of the profiles.
        """
        by_season, by_step = (np.concatenate(each) for each in zip(*spreads, strict=True))
        unknown = np.isnan(by_season[:, 0]) & np.isnan(by_step[:, 0])
        comparable = ~unknown & (size[:, np.unique(self._places)].min(axis=1) > 0)
        typical = np.zeros((self.horizon, len(self.quantile_levels)))
        if comparable.any():
            by_season, by_step, size = by_season[comparable], by_step[comparable], size[comparable]
            for number, place in enumerate(self._places):
                spread = self._spread(by_season, by_step, np.array([number + 1]))[:, 0]
                typical[number] = np.median(spread / size[:, place, None], axis=0)
        return typical


def _groups(panel: Panel) -> IntArray:
    """The number of each series' group, shape (series,): equal for equal static categories."""
    group = np.zeros(len(panel), np.int64)
    for column in panel.static.values():
        _, category = np.unique(column, return_inverse=True)
        _, group = np.unique(group * (len(panel) + 1) + category, return_inverse=True)
    return group


def _shapes(newest: FloatArray, last: FloatArray, group: IntArray) -> FloatArray | None:
    """The typical season of each group divided by its mean, shape (group, season).

    Each series with a whole season has a shape: its newest season divided by the mean of it. The shape of a group is
    the median over its series, or over the panel where no series of the group has one. None where no series needs a
    shape, or none has one.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        shape = newest / newest.mean(axis=1, keepdims=True)
    whole = np.isfinite(shape).all(axis=1) & (newest.min(axis=1) >= 0)
    incomplete = np.isnan(newest).any(axis=1) & ~np.isnan(last)
    if not whole.any() or not incomplete.any():
        return None
    medians = _medians(shape[whole], group[whole], int(group.max()) + 1)
    return np.where(np.isnan(medians), np.median(shape[whole], axis=0), medians)


def _medians(rows: FloatArray, group: IntArray, groups: int) -> FloatArray:
    """The median of each column over the rows of each group, shape (groups, column); NaN where a group has none."""
    columns = rows.shape[1]
    cell = group[:, None] * columns + np.arange(columns)
    return grouped_quantiles(rows.ravel(), cell.ravel(), groups * columns, np.array([0.5])).reshape(groups, columns)


def _unobserved(
    profile: FloatArray, quantile_levels: FloatArray, group: IntArray
) -> dict[int, tuple[FloatArray, FloatArray]]:
    """As `Fallback.unobserved`: quantiles of the forecasts of the other series."""
    unknown = np.isnan(profile[:, 0])
    found = {}
    whole_panel: tuple[FloatArray, FloatArray] | None = None
    for each in np.unique(group[unknown]).tolist():
        others = profile[~unknown & (group == each)]
        if len(others):
            found[each] = _quantiles(others, quantile_levels)
            continue
        if whole_panel is None:
            observed = np.zeros((1, profile.shape[1])) if unknown.all() else profile[~unknown]
            whole_panel = _quantiles(observed, quantile_levels)
        found[each] = whole_panel
    return found


def _quantiles(rows: FloatArray, quantile_levels: FloatArray) -> tuple[FloatArray, FloatArray]:
    return np.quantile(rows, quantile_levels, axis=0), np.quantile(rows, 0.5, axis=0)
