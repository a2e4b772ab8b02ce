"""Level, scale and predictability of every series at every time step, from the past alone.

The network learns shapes. How high a series lies and how far it swings is computed outside of it, and so is how well
the season before predicts it. In the M4 competition this was most of the gain over a plain recurrent network (Smyl
2020, doi 10.1016/j.ijforecast.2019.03.017).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from models.arrays import BoolArray, Float32Array, FloatArray, IntArray
from models.panel.panel import Panel
from models.trailing.sums import Trailing

# Values are cut this many typical sizes from the first value of their series.
ABSURD = 1e5
# Nothing is divided by less: one over it is still a float32.
SMALLEST = np.finfo(np.float32).tiny
# In scales: even a series that repeats itself exactly gets no smaller error.
ERROR_LIMITS = 0.02, 3.0
CHANGE_LIMIT = 8.0


class Scaling(NamedTuple):
    """What is known of a series at flat positions, each from its own value and those before it.

    Attributes:
        level: Shape (position,), the trailing mean; 0 before the first observed value.
        scale: Shape (position,), the trailing standard deviation, never below a floor; > 0.
        error: Shape (position, season), the trailing mean absolute difference from one season before, in scales:
            the error of the seasonal naive; > 0.
        change: Shape (position, season), the mean difference from one season before over the last quarter of a
            season, in scales: the recent trend.
    """

    level: Float32Array
    scale: Float32Array
    error: Float32Array
    change: Float32Array


def scaling_look_back(scale_window: int) -> int:
    """How many steps back the scaling of a step depends on."""
    return max(8 * scale_window, 100)


def scale_panel(
    panel: Panel,
    level_window: int,
    scale_window: int,
    seasons: tuple[int, ...],
    at: IntArray | None = None,
) -> Scaling:
    """Level, scale and seasonal differences over the last steps; over the whole look-back where those hold too few.

    Args:
        panel: The series.
        level_window: Steps over which the level is taken.
        scale_window: Steps over which scale and error are taken.
        seasons: Season lengths in steps.
        at: Shape (position,), the flat positions to compute; None for all of them.

    Returns:
        Finite everywhere, whatever the panel holds.
    """
    back = Trailing(panel, scaling_look_back(scale_window), at)
    # Sums of squares lose digits far from zero, so every series is centred on its first value.
    observed = panel.observed
    first = panel.first_observed
    centred = np.where(observed, panel.values - first[back.series], 0.0)
    # One running sum runs through all series, so each is brought to size 1, and absurd values are cut: neither a large
    # series nor a large value may cost those after it their digits.
    size = _typical_size(centred, back.series, len(panel))
    centred = np.clip(centred / size[back.series], -ABSURD, ABSURD)

    series = back.series[back.at]
    size = size[series]
    level = back.mean_of_enough(centred, observed, level_window) * size + first[series]
    square, wide = _deviations(back, centred, observed, scale_window)
    # A flat stretch has no spread: take at least a tenth of the usual scale and a thousandth of the level.
    scale = np.maximum(square * size, np.maximum(0.1 * wide * size, 1e-3 * np.abs(level)))
    scale = np.maximum(np.where(scale > 0, scale, size), SMALLEST)
    seasonal = [_seasonal(back, centred, observed, season, scale_window, size / scale) for season in seasons]
    error, change = (np.stack(each, axis=1).astype(np.float32) for each in zip(*seasonal, strict=True))
    return Scaling(level.astype(np.float32), scale.astype(np.float32), error, change)


def _deviations(back: Trailing, centred: FloatArray, observed: BoolArray, window: int) -> tuple[FloatArray, FloatArray]:
    """Trailing standard deviation over the window, and over the whole look-back; shape (position,) each."""

    def deviation(mean: FloatArray, mean_square: FloatArray) -> FloatArray:
        return np.asarray(np.sqrt(np.maximum(mean_square - mean**2, 0.0)))

    both = centred, centred**2
    near = deviation(*(back.mean_of_enough(each, observed, window) for each in both))
    wide = deviation(*(back.mean(each, observed, back.look_back) for each in both))
    return near, wide


def _seasonal(
    back: Trailing,
    centred: FloatArray,
    observed: BoolArray,
    season: int,
    window: int,
    in_scales: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """The error of the seasonal naive and the recent trend, shape (position,) each, in scales."""
    before = back.before(season)
    both = observed & observed[before] & (back.place >= season)
    difference = np.where(both, centred - centred[before], 0.0)
    error = back.mean_of_enough(np.abs(difference), both, window) * in_scales
    # Before a whole season was seen, the scale is the only known error.
    error = np.where(back.count(both, back.look_back) > 0, error, 1.0)
    change = back.mean(difference, both, max(1, season // 4)) * in_scales
    return np.clip(error, *ERROR_LIMITS), np.clip(change, -CHANGE_LIMIT, CHANGE_LIMIT)


def _typical_size(centred: FloatArray, series: IntArray, count: int) -> FloatArray:
    """Shape (series,): the geometric mean of the values that are not zero; one outlier hardly moves it."""
    nonzero = centred != 0
    total = np.bincount(series[nonzero], weights=np.log(np.abs(centred[nonzero])), minlength=count)
    return np.asarray(np.exp(total / np.maximum(np.bincount(series[nonzero], minlength=count), 1)))


def step_spread(panel: Panel) -> Float32Array:
    """Shape (series,): the mean distance of neighbouring observed values; 1 where they never differ."""
    values = panel.values.astype(np.float64)
    step = np.abs(np.diff(values, prepend=np.nan))
    step[panel.offsets[:-1][panel.lengths > 0]] = np.nan
    known = ~np.isnan(step)
    series = np.repeat(np.arange(len(panel)), panel.lengths)
    total = np.bincount(series[known], weights=step[known], minlength=len(panel))
    count = np.bincount(series[known], minlength=len(panel))
    spread = total / np.maximum(count, 1)
    return np.maximum(np.where(spread > 0, spread, 1.0), SMALLEST).astype(np.float32)
