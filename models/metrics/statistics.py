"""What each element of a forecast adds to a metric: a numerator and a denominator, which `evaluate` sums.

Arrays have shape (series, horizon). NaN marks elements that are left out of both sums.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from models.arrays import FloatArray, FloatingArray

# Elements, times their quantile levels, that are worked on at once.
AT_ONCE = 1 << 20

Terms = tuple[FloatArray, FloatArray]


class Statistic(NamedTuple):
    """What each element adds to one metric.

    Attributes:
        metric: The metric's name.
        numerator: Shape (series, horizon).
        denominator: Shape (series, horizon).
    """

    metric: str
    numerator: FloatArray
    denominator: FloatArray


def pinball_of_each(actual: FloatingArray, predicted: FloatingArray, quantile_levels: FloatingArray) -> FloatArray:
    """Pinball loss of each element, the mean over quantile levels.

    Args:
        actual: Shape (series, horizon); NaN where not observed.
        predicted: Shape (series, horizon, level), in the units of `actual`.
        quantile_levels: Shape (level,), each in (0, 1).

    Returns:
        Shape (series, horizon), in the units of `actual`; NaN where not observed.

    Source: Koenker & Bassett (1978), without the factor 2 that some libraries carry.

    >>> float(pinball_of_each(np.array([[10.0]]), np.array([[[8.0, 12.0]]]), np.array([0.1, 0.5]))[0, 0])
    0.6
    """
    quantile_levels, loss = np.asarray(quantile_levels, np.float64), np.empty(actual.shape)
    # A few numbers for each quantile level of each element: for all elements at once, more memory than a panel.
    part = max(1, AT_ONCE // max(1, predicted[:1].size))
    for first in range(0, len(actual), part):
        error = actual[first : first + part, ..., None] - predicted[first : first + part]
        loss[first : first + part] = np.maximum(quantile_levels * error, (quantile_levels - 1) * error).mean(axis=-1)
    return loss


def mean_of(loss: FloatArray) -> Terms:
    """A loss over 1, so that the ratio of the sums is its mean."""
    return loss, np.where(np.isnan(loss), np.nan, 1.0)


def absolute_over_actual(actual: FloatingArray, predicted: FloatingArray) -> Terms:
    """|error| over |actual|, for WAPE."""
    return np.abs(predicted - actual), np.abs(actual)


def signed_over_actual(actual: FloatingArray, predicted: FloatingArray) -> Terms:
    """Predicted less actual over |actual|, for the bias."""
    return predicted - actual, np.abs(actual)


def symmetric_percentage(actual: FloatingArray, predicted: FloatingArray) -> Terms:
    """2 |error| / (|actual| + |predicted|) over 1; 0 where both are zero."""
    size = np.abs(actual) + np.abs(predicted)
    return mean_of(2 * np.abs(predicted - actual) / np.where(size == 0, 1.0, size))


def inside(actual: FloatingArray, lower: FloatingArray, upper: FloatingArray) -> Terms:
    """1 where the actual lies from `lower` to `upper`, both included, else 0; over 1, for the coverage."""
    return mean_of(np.where(np.isnan(actual), np.nan, (lower <= actual) & (actual <= upper)))


def scaled(loss: FloatArray, scale: FloatingArray) -> Terms:
    """A loss in units of each series' scale, over 1; NaN where a series has no scale above 0.

    Args:
        loss: Shape (series, horizon).
        scale: Shape (series,).

    Raises:
        ValueError: where there is not one scale for each series.
    """
    if scale.shape != loss.shape[:1]:
        raise ValueError(f"scale of shape {scale.shape} is not one number for each of {loss.shape[0]} series.")
    return mean_of(loss / np.where(scale > 0, scale, np.nan)[:, None])


def as_quantiles(point: FloatingArray, quantile_levels: FloatingArray) -> FloatingArray:
    """A point forecast as the same number at every quantile level, shape (..., level); a view."""
    return np.broadcast_to(point[..., None], (*point.shape, len(quantile_levels)))


def checked(
    actual: FloatingArray, quantiles: FloatingArray, quantile_levels: FloatingArray
) -> tuple[FloatArray, FloatArray]:
    """Both as float64, whose squares do not overflow.

    Raises:
        ValueError: where the quantiles have another shape than (series, horizon, level), or are NaN where the actual
            was observed.
    """
    wanted = (*actual.shape, len(quantile_levels))
    if quantiles.shape != wanted:
        raise ValueError(f"quantiles have shape {quantiles.shape}; actuals of shape {actual.shape} need {wanted}.")
    missing = np.isnan(quantiles).any(axis=-1) & ~np.isnan(actual)
    if n := int(missing.sum()):
        raise ValueError(
            f"{n} of {actual.size} forecasts are NaN where the actual was observed; forecast them, or leave their "
            "actuals out (NaN)."
        )
    return actual.astype(np.float64, copy=False), quantiles.astype(np.float64, copy=False)
