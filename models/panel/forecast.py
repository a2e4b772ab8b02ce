"""The forecast of one night."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.arrays import FloatArray, StringArray


@dataclass(frozen=True)
class Forecast:
    """Forecasts of every series for every step, and the seasonal naive of the same night.

    Attributes:
        series_ids: Shape (series,).
        quantile_levels: Shape (level,), ascending, with 0.5 among them.
        quantiles: Shape (series, horizon, level), in the series' units; not NaN, and not crossing.
        mean: Shape (series, horizon).
        baseline: Shape (series, horizon), the seasonal naive of this cutoff.
        source: Shape (series,), "model" or "fallback".
        reason: Shape (series,), why the fallback forecast it; "" where the model did.
    """

    series_ids: StringArray
    quantile_levels: FloatArray
    quantiles: FloatArray
    mean: FloatArray
    baseline: FloatArray
    source: StringArray
    reason: StringArray

    @property
    def median(self) -> FloatArray:
        """The quantile at quantile level 0.5, shape (series, horizon)."""
        return self.quantiles[:, :, int(np.flatnonzero(self.quantile_levels == 0.5)[0])]

    def of(self, series: slice) -> Forecast:
        """The forecast of some of the series; its arrays are views."""
        return Forecast(
            series_ids=self.series_ids[series],
            quantile_levels=self.quantile_levels,
            quantiles=self.quantiles[series],
            mean=self.mean[series],
            baseline=self.baseline[series],
            source=self.source[series],
            reason=self.reason[series],
        )


def mean_of_quantiles(quantiles: FloatArray, quantile_levels: FloatArray) -> FloatArray:
    """The mean of a distribution of which only some quantiles are known.

    The quantile function is linear between the quantile levels, and flat beyond the outermost ones.

    Args:
        quantiles: Shape (..., level), ascending.
        quantile_levels: Shape (level,), ascending, each in (0, 1).

    Returns:
        Shape (...,).

    >>> float(mean_of_quantiles(np.array([0.0, 10.0]), np.array([0.25, 0.75])))
    5.0
    """
    edges = np.concatenate([[0.0], quantile_levels, [1.0]])
    padded = np.concatenate([quantiles[..., :1], quantiles, quantiles[..., -1:]], axis=-1)
    return np.asarray(np.sum((padded[..., 1:] + padded[..., :-1]) / 2 * np.diff(edges), axis=-1))
