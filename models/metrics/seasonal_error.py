"""The in-sample error of the seasonal naive: the unit in which losses of different series are comparable."""

from __future__ import annotations

import numpy as np

from models.arrays import FloatArray, FloatingArray, IntArray


def seasonal_error(values: FloatingArray, offsets: IntArray, season_length: int) -> FloatArray:
    """Each series' mean of |y(t) - y(t - season_length)|: the scale of MASE.

    Args:
        values: Shape (total,), series end to end; NaN where not observed, such pairs are left out.
        offsets: Shape (series + 1,); series `i` is `values[offsets[i]:offsets[i + 1]]`.
        season_length: In steps.

    Returns:
        Shape (series,), in the units of the series; NaN where a series has no such pair.

    Raises:
        ValueError: where the season is shorter than one step.

    Source: Hyndman & Koehler (2006).

    >>> seasonal_error(np.array([1.0, 2.0, 4.0]), np.array([0, 3]), 1)
    array([1.5])
    """
    if season_length < 1:
        raise ValueError(f"season_length {season_length} is a number of steps; give 1 or more.")
    later = np.arange(season_length, len(values))
    series = np.searchsorted(offsets, later, side="right") - 1
    difference = np.abs(values[season_length:].astype(np.float64) - values[: max(0, len(values) - season_length)])
    # A pair across the border of two series does not count.
    paired = (later - season_length >= offsets[series]) & ~np.isnan(difference)
    count = np.bincount(series[paired], minlength=len(offsets) - 1)
    total = np.bincount(series[paired], weights=difference[paired], minlength=len(offsets) - 1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
