r"""Calibrated intervals: the quantiles of a night, read at other normal scores than their quantile levels say.

The calibrated quantile at level q is the network's own quantile function (`normal_scores.py`) at another score than
that of q: the score below which a share q of past actuals lay. These scores are estimated for each step from the
actuals of all series. They are stretched for a series whose own actuals lie nearer or further out, where it has enough
of them (`evidence.py`).

Source: Chernozhukov, Wüthrich & Zhu (2021), doi 10.1073/pnas.2107794118, for conformal prediction from ranks in the
forecast distribution; Gibbs & Candès (2021), arXiv 2106.00170, for quantile levels that adapt to past coverage.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import ndtri

from models.arrays import AnyArray, FloatArray, StringArray
from models.calibration.normal_scores import quantiles_at
from models.panel.forecast import Forecast, mean_of_quantiles

Bounds = tuple[float | None, float | None]


@dataclass(frozen=True)
class Calibration:
    """The scores at which a night's quantiles are read.

    Attributes:
        quantile_levels: Shape (level,), ascending.
        positions: Shape (horizon, level), normal scores, strictly ascending along the quantile levels.
        series_ids: Shape (series,).
        stretch: Shape (series,), factor of the scores for each series.
        bounds: No forecast is below the first or above the second; None for no bound.
        description: The effect on the widest interval, in words; "" where there is none.
    """

    quantile_levels: FloatArray
    positions: FloatArray
    series_ids: StringArray
    stretch: FloatArray
    bounds: Bounds = (None, None)
    description: str = ""

    @classmethod
    def identity(
        cls, quantile_levels: FloatArray, horizon: int, series_ids: StringArray, bounds: Bounds = (None, None)
    ) -> Calibration:
        """A calibration that leaves forecasts as they are."""
        levels = np.asarray(quantile_levels, np.float64)
        return cls(levels, np.tile(ndtri(levels), (horizon, 1)), series_ids, np.ones(len(series_ids)), bounds)

    def of(self, series: slice | AnyArray) -> Calibration:
        """The calibration of a part of the series."""
        return replace(self, series_ids=self.series_ids[series], stretch=self.stretch[series])

    def quantiles(self, quantiles: FloatArray) -> FloatArray:
        """Calibrated quantiles of the series, shape (series, horizon, level); never crossing, within the bounds."""
        wanted = self.stretch[:, None, None] * self.positions
        found = quantiles_at(quantiles, ndtri(self.quantile_levels), wanted)
        return np.clip(np.maximum.accumulate(found, axis=-1), *self.bounds)

    def calibrated(self, forecast: Forecast) -> Forecast:
        """A forecast of the series with calibrated quantiles, and with the means of these quantiles.

        Forecasts of the fallback stay as they are, since their spread comes from the series' own past errors.
        """
        by_model = forecast.source == "model"
        if not by_model.any():
            return forecast
        quantiles, mean = forecast.quantiles.copy(), forecast.mean.copy()
        quantiles[by_model] = self.of(by_model).quantiles(forecast.quantiles[by_model])
        mean[by_model] = np.clip(mean_of_quantiles(quantiles[by_model], self.quantile_levels), *self.bounds)
        return replace(forecast, quantiles=quantiles, mean=mean)

    def arrays(self) -> dict[str, AnyArray]:
        """The calibration as arrays by name, to be stored; without its description."""
        bounds = np.array([np.nan if bound is None else bound for bound in self.bounds])
        return {
            "quantile_levels": self.quantile_levels,
            "positions": self.positions,
            "series_ids": self.series_ids,
            "stretch": self.stretch.astype(np.float32),
            "bounds": bounds,
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, AnyArray]) -> Calibration:
        """The calibration that `arrays` stored."""
        lower, upper = (None if np.isnan(bound) else float(bound) for bound in arrays["bounds"])
        return cls(
            quantile_levels=arrays["quantile_levels"],
            positions=arrays["positions"],
            series_ids=arrays["series_ids"],
            stretch=arrays["stretch"].astype(np.float64),
            bounds=(lower, upper),
        )
