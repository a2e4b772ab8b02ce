"""What needs no model: the seasonal naive, and the fallback for series that no model should forecast."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from models.panel import IntArray, Panel

FloatArray = npt.NDArray[np.float64]

# A spread from fewer seasonal differences says little; steps differ often enough to be counted instead.
ENOUGH_SEASONAL = 3
# Older differences tell more of what a series was than of what it is.
RECENT_STEPS, RECENT_SEASONS = 1_000, 5


def seasonal_naive(panel: Panel, horizon: int, season_length: int) -> FloatArray:
    """The newest observed value at the same place in the season, for every step.

    Where the newest season has a gap, the season before fills it; where no season has that place,
    the series' last observed value does.

    Args:
        panel: The series, all ending at the cutoff.
        horizon: Number of steps ahead.
        season_length: In steps; 1 repeats the last observed value.

    Returns:
        Shape (series, horizon), in the units of the series; NaN where a series was never observed.

    Raises:
        ValueError: where `horizon` or `season_length` is below 1.
    """
    if horizon < 1 or season_length < 1:
        raise ValueError(f"horizon {horizon} and season_length {season_length} are numbers of steps; give 1 or more.")
    newest, last = _newest_of_season(panel.newest(RECENT_SEASONS * season_length), season_length)
    if np.isnan(newest).any() and panel.lengths.max(initial=0) > RECENT_SEASONS * season_length:
        newest, last = _newest_of_season(panel, season_length)
    # One step ahead lies at the place that is season_length - 1 before the end.
    forecast = newest[:, -np.arange(1, horizon + 1) % season_length]
    return np.where(np.isnan(forecast), last[:, None], forecast)


def _newest_of_season(panel: Panel, season_length: int) -> tuple[FloatArray, FloatArray]:
    """The newest value at each place of the season, counted back from the end, and the newest of all.

    Shapes (series, season_length) and (series,); NaN where there is none.
    """
    series, before_end, values = _observed(panel)
    newest = np.full((len(panel), season_length), np.nan)
    last = np.full(len(panel), np.nan)
    # Values come oldest first, and where several go to one place NumPy keeps the one that comes last.
    newest[series, before_end % season_length] = values
    last[series] = values
    return newest, last


def fallback(
    panel: Panel,
    horizon: int,
    quantile_levels: Sequence[float] | FloatArray,
    lower_bound: float | None = None,
    upper_bound: float | None = None,
) -> tuple[FloatArray, FloatArray]:
    """A forecast for every series, however little is known of it.

    The middle is the seasonal naive over the panel's shortest season. At a place of the season that a series has
    not shown yet it is the season of its group, scaled to what is known of the series, or else its last value. A
    group is all series of the same static categories, or the whole panel where it has none to learn from.

    Around the middle lie the quantiles of the series' own absolute seasonal differences, wider by the square root
    of the seasons ahead: differences of a stationary series are symmetric. Series with too few of those take their
    differences from value to value and the steps ahead; series with a single value take the spread that is usual in
    the panel for their size. A series that was never observed gets the quantiles of its group's forecasts; where
    there is none in the whole panel, 0.

    Args:
        panel: The series, all ending at the cutoff.
        horizon: Number of steps ahead.
        quantile_levels: Shape (level,), ascending, each in (0, 1).
        lower_bound: No forecast is below it.
        upper_bound: No forecast is above it.

    Returns:
        Quantiles of shape (series, horizon, level) and means of shape (series, horizon), in the units of the
        series; never NaN, never crossing. The mean is the middle.

    Source: Hyndman & Athanasopoulos, Forecasting: Principles and Practice, section 5.5, for the widening.
    """
    levels = np.asarray(quantile_levels, np.float64)
    season_length = panel.season_lengths[0] if panel.season_lengths else 1
    group = _groups(panel)
    middle = _with_season_of_group(panel, seasonal_naive(panel, horizon, season_length), season_length, group)
    # The share of absolute differences below a quantile's distance from the middle, and its side.
    share, side = np.abs(2 * levels - 1), np.sign(levels - 0.5)
    spread = _spread(panel, horizon, season_length, share)
    _fill_usual_spread(spread, np.abs(middle))
    quantiles = middle[:, :, None] + side * spread
    _fill_unobserved(quantiles, middle, levels, group)
    return np.clip(quantiles, lower_bound, upper_bound), np.clip(middle, lower_bound, upper_bound)


def grouped_quantiles(values: FloatArray, group: IntArray, groups: int, levels: FloatArray) -> FloatArray:
    """Quantiles of each group's values, all groups at once.

    Args:
        values: Shape (n,), without NaN.
        group: Shape (n,), each value's group, in 0 .. groups - 1.
        groups: Number of groups.
        levels: Shape (level,), each in [0, 1].

    Returns:
        Shape (groups, level), as `np.quantile(..., method="weibull")`, which allows for the little that few
        values say about the tails; NaN where a group is empty.
    """
    if not len(values):
        return np.full((groups, len(levels)), np.nan)
    ordered = values[np.lexsort((values, group))]
    count = np.bincount(group, minlength=groups)[:, None]
    first = np.cumsum(count)[:, None] - count
    rank = np.clip(levels * (count + 1) - 1, 0, np.maximum(count - 1, 0))
    low = np.floor(rank).astype(np.int64)
    high = np.minimum(low + 1, np.maximum(count - 1, 0))
    bottom, top = (ordered[np.minimum(first + at, len(ordered) - 1)] for at in (low, high))
    # Rounding must not lift a quantile above the next one.
    return np.where(count > 0, np.minimum(bottom + (top - bottom) * (rank - low), top), np.nan)


def _observed(panel: Panel) -> tuple[IntArray, IntArray, FloatArray]:
    """Of every observed value, oldest first in each series: its series, its steps before the end, itself."""
    position = np.flatnonzero(panel.observed)
    series = np.searchsorted(panel.offsets, position, side="right") - 1
    return series, panel.offsets[series + 1] - 1 - position, panel.values[position].astype(np.float64)


def _spread(panel: Panel, horizon: int, season_length: int, share: FloatArray) -> FloatArray:
    """Distance of each quantile from the middle, shape (series, horizon, level); NaN where nothing differs."""
    series, before_end, values = _observed(panel)
    recent = before_end < max(RECENT_STEPS, RECENT_SEASONS * season_length)
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
    steps = np.arange(1, horizon + 1)
    seasons_ahead = np.sqrt(np.ceil(steps / season_length))[:, None]
    steps_ahead = np.sqrt(steps)[:, None]
    enough = np.bincount(series[paired], minlength=len(panel)) >= ENOUGH_SEASONAL
    return np.where(enough[:, None, None], by_season[:, None] * seasons_ahead, by_step[:, None] * steps_ahead)


def _fill_usual_spread(spread: FloatArray, size: FloatArray) -> None:
    """Give series of a single value the spread that is usual for values of their `size` (series, horizon)."""
    unknown = np.isnan(spread[:, 0, 0])
    if not unknown.any():
        return
    comparable = ~unknown & (size.min(axis=1, initial=np.inf) > 0)
    usual = np.median(spread[comparable] / size[comparable, :, None], axis=0) if comparable.any() else np.zeros(())
    spread[unknown] = usual * size[unknown, :, None]


def _groups(panel: Panel) -> IntArray:
    """The group of each series: the same static categories, the same number; shape (series,)."""
    group = np.zeros(len(panel), np.int64)
    for column in panel.static.values():
        _, category = np.unique(column, return_inverse=True)
        _, group = np.unique(group * (len(panel) + 1) + category, return_inverse=True)
    return group


def _with_season_of_group(panel: Panel, naive: FloatArray, season_length: int, group: IntArray) -> FloatArray:
    """The seasonal naive, but where a series has not shown a place of the season yet, its group's shape of it.

    Each series with a whole season tells a shape: its newest season over the mean of that. A group's shape is the
    median of those, and the panel's where the group has none.
    """
    newest, last = _newest_of_season(panel, season_length)
    unknown = np.isnan(newest)
    with np.errstate(invalid="ignore", divide="ignore"):
        shape = newest / newest.mean(axis=1, keepdims=True)
    whole = np.isfinite(shape).all(axis=1) & (newest.min(axis=1) >= 0)
    lacking = unknown.any(axis=1) & ~np.isnan(last)
    if not whole.any() or not lacking.any():
        return naive
    medians = _medians(shape[whole], group[whole], int(group.max()) + 1)
    of_group = np.where(np.isnan(medians), np.median(shape[whole], axis=0), medians)[group[lacking]]
    known = np.where(unknown[lacking], 0.0, newest[lacking])
    under = np.where(unknown[lacking], 0.0, of_group).sum(axis=1)
    # What is known may lie where the group has nothing, and tells no level then.
    scale = np.where(under > 0, known.sum(axis=1) / np.where(under > 0, under, 1.0), np.nan)
    filled = np.where(unknown[lacking], of_group * scale[:, None], np.nan)
    ahead = filled[:, -np.arange(1, naive.shape[1] + 1) % season_length]
    naive = naive.copy()
    naive[lacking] = np.where(np.isfinite(ahead), ahead, naive[lacking])
    return naive


def _medians(rows: FloatArray, group: IntArray, groups: int) -> FloatArray:
    """The median of each column over the rows of each group, shape (groups, column); NaN where a group has none."""
    columns = rows.shape[1]
    cell = group[:, None] * columns + np.arange(columns)
    return grouped_quantiles(rows.ravel(), cell.ravel(), groups * columns, np.array([0.5])).reshape(groups, columns)


def _fill_unobserved(quantiles: FloatArray, middle: FloatArray, levels: FloatArray, group: IntArray) -> None:
    """Give series without any value the quantiles of their group's forecasts at each step; 0 where there are none."""
    unknown = np.isnan(middle[:, 0])
    for each in np.unique(group[unknown]):
        mine = unknown & (group == each)
        others = middle[~unknown & (group == each)]
        if not len(others):
            others = middle[~unknown] if not unknown.all() else np.zeros((1, middle.shape[1]))
        quantiles[mine] = np.quantile(others, levels, axis=0).T
        middle[mine] = np.quantile(others, 0.5, axis=0)
