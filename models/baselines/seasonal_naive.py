"""The seasonal naive, and the statistics of a panel that it and the fallback are computed from."""

from __future__ import annotations

import numpy as np

from models.arrays import FloatArray, IntArray
from models.panel.panel import Panel

# The newest season with a value at a place is nearly always among these.
RECENT_SEASONS = 5
# Groups of unequal size are padded and sorted side by side, unless padding makes them this many times as large.
WASTE = 4


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
    newest, last = newest_of_season(panel, season_length)
    # The step after the end is season_length - 1 places before the end of the season.
    forecast = newest[:, -np.arange(1, horizon + 1) % season_length]
    return np.where(np.isnan(forecast), last[:, None], forecast)


def newest_of_season(panel: Panel, season_length: int) -> tuple[FloatArray, FloatArray]:
    """The newest value at each place of the season, counted back from the end, and the newest value of all.

    Returns:
        Shapes (series, season_length) and (series,), in the units of the series; NaN where there is none.
    """
    newest, last = _newest_of_season(panel.newest(RECENT_SEASONS * season_length), season_length)
    if np.isnan(newest).any() and panel.lengths.max(initial=0) > RECENT_SEASONS * season_length:
        newest, last = _newest_of_season(panel, season_length)
    return newest, last


def _newest_of_season(panel: Panel, season_length: int) -> tuple[FloatArray, FloatArray]:
    series, before_end, values = observed_values(panel)
    newest = np.full((len(panel), season_length), np.nan)
    last = np.full(len(panel), np.nan)
    # Values come oldest first; where several are assigned to one place, NumPy keeps the last one.
    newest[series, before_end % season_length] = values
    last[series] = values
    return newest, last


def grouped_quantiles(values: FloatArray, group: IntArray, groups: int, quantile_levels: FloatArray) -> FloatArray:
    """Quantiles of each group's values, all groups at once.

    Args:
        values: Shape (n,), without NaN.
        group: Shape (n,), each value's group, in 0 .. groups - 1.
        groups: Number of groups.
        quantile_levels: Shape (level,), each in [0, 1].

    Returns:
        Shape (groups, level), as `np.quantile(..., method="weibull")`, which widens the tails where there are few
        values; NaN where a group is empty.
    """
    if not len(values):
        return np.full((groups, len(quantile_levels)), np.nan)
    count = np.bincount(group, minlength=groups)[:, None]
    ordered = _ordered(values, group, count)
    first = np.cumsum(count)[:, None] - count
    rank = np.clip(quantile_levels * (count + 1) - 1, 0, np.maximum(count - 1, 0))
    low = np.floor(rank).astype(np.int64)
    high = np.minimum(low + 1, np.maximum(count - 1, 0))
    bottom, top = (ordered[np.minimum(first + at, len(ordered) - 1)] for at in (low, high))
    # Rounding must not lift a quantile above the next one.
    return np.where(count > 0, np.minimum(bottom + (top - bottom) * (rank - low), top), np.nan)


def _ordered(values: FloatArray, group: IntArray, count: IntArray) -> FloatArray:
    """The values in order of group and size; `count` has the number of values of each group, shape (groups, 1)."""
    widest = int(count.max())
    if widest * len(count) > WASTE * len(values) or (group[1:] < group[:-1]).any():
        return values[np.lexsort((values, group))]
    # One padded row for each group takes a tenth of the time of sorting by group and value.
    inside = np.arange(widest) < count
    rows = np.full(inside.shape, np.inf)
    rows[inside] = values
    rows.sort(axis=1)
    return np.asarray(rows[inside])


def observed_values(panel: Panel) -> tuple[IntArray, IntArray, FloatArray]:
    """All observed values, oldest first in each series: series, steps before the end, value; shape (n,) each."""
    position = np.flatnonzero(panel.observed)
    series = np.searchsorted(panel.offsets, position, side="right") - 1
    return series, panel.offsets[series + 1] - 1 - position, panel.values[position].astype(np.float64)
