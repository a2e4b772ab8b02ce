"""Scales: the unit in which the errors of each series are measured, so that series of any size count alike."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from models.arrays import FloatArray, IntArray
from models.panel.history_summary import Window, seasonal_changes
from models.panel.panel import Panel


def scales_at(
    panel: Panel, season_length: int, cutoff_indices: Sequence[int] | IntArray, window: Window | None = None
) -> FloatArray:
    """Each series' in-sample mean of |y(t) - y(t - season)| as each night could know it.

    Args:
        panel: The series.
        season_length: In steps.
        cutoff_indices: Grid positions of the nights' cutoffs.
        window: What the panel leaves out, where it is not the whole history. No night may be older than the window's
            summary.

    Returns:
        Shape (cutoff, series), in the units of the series; NaN where a series had no such pair yet.

    Source: Hyndman & Koehler (2006), the scale of MASE.
    """
    nights, place = np.unique(np.asarray(cutoff_indices, np.int64), return_inverse=True)
    sums, counts = seasonal_changes(panel, season_length, nights, None if window is None else window.summary.until)
    if window is not None:
        summarised = window.place(panel.series_ids)
        sums[summarised] += window.summary.change[:, None]
        counts[summarised] += window.summary.changes[:, None]
    scales = np.divide(sums, counts, out=np.full(sums.shape, np.nan), where=counts > 0)
    return np.asarray(scales.T[place])


def usable_scale(scale: FloatArray, values: FloatArray) -> FloatArray:
    """The scales, with a stand-in where one is NaN or zero: the mean |value| of the series, or 1 where that is zero.

    Args:
        scale: Shape (series,).
        values: Shape (series, step), NaN where not observed.

    Returns:
        Shape (series,), above zero.

    >>> usable_scale(np.array([2.0, 0.0, np.nan]), np.array([[9.0], [4.0], [np.nan]]))
    array([2., 4., 1.])
    """
    observed = ~np.isnan(values)
    size = np.where(observed, np.abs(values), 0.0).sum(axis=1) / np.maximum(observed.sum(axis=1), 1)
    return scale_or(scale, size)


def scale_or(scale: FloatArray, size: FloatArray) -> FloatArray:
    """The scale of each series where it is above zero, else the series' size, else 1; all of shape (series,)."""
    return np.where(np.isnan(scale) | (scale <= 0), np.where(size > 0, size, 1.0), scale)
