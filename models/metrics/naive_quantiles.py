"""Quantiles of the seasonal naive, so that a quantile loss compares like with like."""

from __future__ import annotations

import numpy as np

from models.arrays import FloatArray, FloatingArray


def naive_quantiles(
    naive: FloatingArray, quantile_levels: FloatingArray, seasonal_error: FloatingArray, season_length: int
) -> FloatArray:
    """The quantiles of a Laplace distribution around the naive, as wide as the naive has erred before.

    A point forecast that stands for each of its quantiles loses any comparison by a quantile loss. The scale of the
    distribution is the mean absolute error of past naives, which is its maximum likelihood estimate. After k whole
    seasons, k + 1 seasonal changes have added up: the scale grows by the square root of their number. The seasonal
    error is known wherever a night is scored, whatever part of the history it has read; the quantiles of each series'
    own changes, which would need all of it, are no better (docs/methods.md, "What is scored").

    Args:
        naive: Shape (series, horizon); NaN where there is none.
        quantile_levels: Shape (level,), each in (0, 1).
        seasonal_error: Shape (series,), see the function of this name; no width where it is NaN or not above 0.
        season_length: In steps.

    Returns:
        Shape (series, horizon, level), in the units of the series; the naive itself at level 0.5.

    Source: Hyndman & Athanasopoulos (2021), Forecasting: principles and practice, section 5.5, with the Laplace
    distribution in place of the normal one: seasonal changes have heavier tails.

    >>> naive_quantiles(np.array([[10.0, 10.0]]), np.array([0.25, 0.5, 0.75]), np.array([2.0]), 1).round(2)
    array([[[ 8.61, 10.  , 11.39],
            [ 8.04, 10.  , 11.96]]])
    """
    off_centre = np.asarray(quantile_levels, np.float64) - 0.5
    width = -np.sign(off_centre) * np.log1p(-2 * np.abs(off_centre))
    scale = np.where(seasonal_error > 0, seasonal_error, 0.0)
    growth = np.sqrt(1 + np.arange(naive.shape[1]) // season_length)
    return np.asarray(naive[..., None] + (scale[:, None] * growth)[..., None] * width, np.float64)
