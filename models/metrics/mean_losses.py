"""The mean loss of each single forecast, by scikit-learn: what a backtest compares forecasters by."""

from __future__ import annotations

import numpy as np

from models.arrays import FloatArray, FloatingArray


def mean_losses(
    actual: FloatArray, quantiles: FloatingArray, quantile_levels: FloatArray, scale: FloatArray
) -> dict[str, FloatArray]:
    """The mean loss of each forecast over its observed steps, in units of its scale.

    Args:
        actual: Shape (forecast, horizon); NaN where not observed, then left out.
        quantiles: Shape (forecast, horizon, level), known where `actual` is.
        quantile_levels: Shape (level,), with 0.5 among them.
        scale: Shape (forecast,).

    Returns:
        `scaled_quantile_loss`, the pinball loss over all levels, and `mase`, the absolute error of the median; shape
        (forecast,) each. NaN where nothing was observed, or where the scale is NaN or 0.

    >>> mean_losses(np.array([[4.0]]), np.array([[[5.0]]]), np.array([0.5]), np.array([2.0]))["mase"]
    array([0.5])
    """
    # Importing it takes two seconds, and only a backtest needs it.
    from sklearn.metrics import mean_absolute_error, mean_pinball_loss

    observed = ~np.isnan(actual)

    def by_step(values: FloatingArray) -> FloatArray:
        """Shape (horizon, forecast). scikit-learn takes no NaN; a step that is 0 in both arrays adds no loss."""
        return np.where(observed, values, 0.0).T

    y = by_step(actual)
    pinball = [
        mean_pinball_loss(y, by_step(quantiles[..., i]), alpha=float(alpha), multioutput="raw_values")
        for i, alpha in enumerate(quantile_levels)
    ]
    median = quantiles[..., int(np.flatnonzero(quantile_levels == 0.5)[0])]
    error = mean_absolute_error(y, by_step(median), multioutput="raw_values")
    count = np.count_nonzero(observed, axis=1)
    # From a mean over all steps to one over the observed steps, in units of the scale.
    factor = len(y) / np.where(count > 0, count, np.nan) / np.where(scale > 0, scale, np.nan)
    return {"scaled_quantile_loss": np.mean(pinball, axis=0) * factor, "mase": error * factor}
