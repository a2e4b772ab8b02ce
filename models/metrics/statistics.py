"""What each element says, numerator and denominator apart, and how they are summed.

A ratio of sums is what most metrics are; keeping both apart lets one metric be asked of all
elements, of a step of the horizon or of a group of series. Arrays are (series, horizon), or
the observed elements alone, and NaN marks what is left out.
"""

from __future__ import annotations

import numpy as np

from models.arrays import FloatArray, FloatingArray

AT_ONCE = 1 << 20


def pinball_of_each(actual: FloatingArray, predicted: FloatingArray, quantile_levels: FloatingArray) -> FloatArray:
    """Pinball loss of each element, the mean over levels; (series, horizon), NaN where not observed."""
    levels, loss = np.asarray(quantile_levels, np.float64), np.empty(actual.shape)
    # Several numbers for each level of each element: of all elements at once they would outweigh a panel.
    part = max(1, AT_ONCE // max(1, predicted[:1].size))
    for first in range(0, len(actual), part):
        error = actual[first : first + part, ..., None] - predicted[first : first + part]
        loss[first : first + part] = np.maximum(levels * error, (levels - 1) * error).mean(axis=-1)
    return loss


def ratio(numerator: FloatingArray, denominator: FloatingArray) -> float:
    """Sum over sum, of the elements that have both; NaN where the denominator's is zero."""
    return float(ratio_by_step(numerator.reshape(-1, 1), denominator.reshape(-1, 1))[0])


def ratio_by_step(numerator: FloatingArray, denominator: FloatingArray) -> FloatArray:
    """`ratio` of each column: (series, horizon) to (horizon,)."""
    used = ~np.isnan(numerator) & ~np.isnan(denominator)
    below = np.sum(denominator, axis=0, where=used, dtype=np.float64)
    above = np.sum(numerator, axis=0, where=used, dtype=np.float64)
    return np.where(below > 0, above / np.where(below > 0, below, 1.0), np.nan)


def one_each(actual: FloatingArray) -> FloatArray:
    """The denominator of a mean: 1 where observed, else NaN."""
    return np.where(np.isnan(actual), np.nan, 1.0)


def absolute_over_actual(actual: FloatingArray, predicted: FloatingArray) -> tuple[FloatArray, FloatArray]:
    """|error| over |actual|, for WAPE."""
    return np.abs(predicted - actual), np.abs(actual)


def signed_over_actual(actual: FloatingArray, predicted: FloatingArray) -> tuple[FloatArray, FloatArray]:
    """Predicted less actual over |actual|, for bias."""
    return predicted - actual, np.abs(actual)


def symmetric_percentage(actual: FloatingArray, predicted: FloatingArray) -> tuple[FloatArray, FloatArray]:
    """2 |error| / (|actual| + |predicted|) of each element over one; 0 where both are zero."""
    size = np.abs(actual) + np.abs(predicted)
    return 2 * np.abs(predicted - actual) / np.where(size == 0, 1.0, size), one_each(actual)


def inside(actual: FloatingArray, lower: FloatingArray, upper: FloatingArray) -> tuple[FloatArray, FloatArray]:
    """Whether each element lies from `lower` to `upper`, over one, for coverage."""
    return ((lower <= actual) & (actual <= upper)).astype(np.float64), one_each(actual)


def scaled(loss: FloatingArray, scale: FloatingArray) -> tuple[FloatArray, FloatArray]:
    """Elements in units of their series' scale; NaN where there is no scale."""
    if scale.shape != loss.shape[:1]:
        raise ValueError(f"scale of shape {scale.shape} is not one number for each of {loss.shape[0]} series.")
    relative = loss / np.where(scale > 0, scale, np.nan)[:, None]
    return relative, one_each(relative)


def each_series_alike(numerator: FloatArray, denominator: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Weigh elements so that the sum over all is the mean over series of each series' own mean."""
    count = np.maximum(np.sum(~np.isnan(numerator), axis=1, keepdims=True), 1)
    return numerator / count, denominator / count


def as_quantiles(point: FloatingArray, quantile_levels: FloatingArray) -> FloatingArray:
    """A forecast of one number as the same number at every level, shape (..., level)."""
    return np.broadcast_to(point[..., None], (*point.shape, len(quantile_levels)))


def observed_pairs(actual: FloatingArray, predicted: FloatingArray) -> tuple[FloatArray, FloatArray]:
    """Observed actuals and their predictions, shape (n,) each."""
    actual, predicted = checked(actual, predicted)
    seen = ~np.isnan(actual)
    return actual[seen], predicted[seen]


def checked(
    actual: FloatingArray, predicted: FloatingArray, quantile_levels: FloatingArray | None = None
) -> tuple[FloatArray, FloatArray]:
    """Both as float64, whose squares do not overflow, once it is sure that `predicted` answers `actual`."""
    wanted = actual.shape if quantile_levels is None else (*actual.shape, len(quantile_levels))
    if predicted.shape != wanted:
        raise ValueError(
            f"predicted has shape {predicted.shape} where actual of shape {actual.shape} asks for {wanted}."
        )
    missing = np.isnan(predicted) if quantile_levels is None else np.isnan(predicted).any(axis=-1)
    if n := int((missing & ~np.isnan(actual)).sum()):
        raise ValueError(
            f"{n} predictions of {actual.size} actuals are NaN where the actual was observed; forecast them or leave "
            "those actuals out (NaN)."
        )
    return actual.astype(np.float64, copy=False), predicted.astype(np.float64, copy=False)
