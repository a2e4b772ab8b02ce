r"""Intervals that cover: a night's quantiles, read where past actuals say that they lie.

The quantile at level q is the network's own quantile function read at another score than that of q
(`normal_scores.py`): the one up to which a share q of past actuals lay. That is taken for each step from the
actuals of all series, and stretched for series whose own actuals lie nearer or further out than those of all, where
there are enough of them to tell (`models/calibration/evidence.py`).

Source: Chernozhukov, Wüthrich & Zhu (2021), doi 10.1073/pnas.2107794118, for conformal prediction from ranks in the
forecast distribution; Gibbs & Candès (2021), arXiv 2106.00170, for levels that follow what was covered.
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
    """Where tonight's quantiles are read.

    Attributes:
        quantile_levels: Shape (level,), ascending.
        positions: Shape (horizon, level), scores, strictly ascending along levels.
        series_ids: Shape (series,).
        stretch: Shape (series,), by what they are multiplied for each series.
        bounds: What no forecast is below, and above.
        said: What this does to the widest interval, in words; "" where nothing.
    """

    quantile_levels: FloatArray
    positions: FloatArray
    series_ids: StringArray
    stretch: FloatArray
    bounds: Bounds = (None, None)
    said: str = ""

    @classmethod
    def none(
        cls, quantile_levels: FloatArray, horizon: int, series_ids: StringArray, bounds: Bounds = (None, None)
    ) -> Calibration:
        """Leaves forecasts as they are."""
        levels = np.asarray(quantile_levels, np.float64)
        return cls(levels, np.tile(ndtri(levels), (horizon, 1)), series_ids, np.ones(len(series_ids)), bounds)

    def of(self, series: slice | AnyArray) -> Calibration:
        """That of some of the series."""
        return replace(self, series_ids=self.series_ids[series], stretch=self.stretch[series])

    def quantiles(self, quantiles: FloatArray) -> FloatArray:
        """Quantiles of these series, calibrated; shape (series, horizon, level), never crossing, within the bounds."""
        wanted = self.stretch[:, None, None] * self.positions
        found = quantiles_at(quantiles, ndtri(self.quantile_levels), wanted)
        return np.clip(np.maximum.accumulate(found, axis=-1), *self.bounds)

    def calibrated(self, forecast: Forecast) -> Forecast:
        """A forecast of these series with its quantiles calibrated, and means that follow them.

        What is not of the model stays: a fallback's spread is that of the series' own past errors already.
        """
        mine = forecast.source == "model"
        if not mine.any():
            return forecast
        quantiles, mean = forecast.quantiles.copy(), forecast.mean.copy()
        quantiles[mine] = self.of(mine).quantiles(forecast.quantiles[mine])
        mean[mine] = np.clip(mean_of_quantiles(quantiles[mine], self.quantile_levels), *self.bounds)
        return replace(forecast, quantiles=quantiles, mean=mean)

    def arrays(self) -> dict[str, AnyArray]:
        """All of it as arrays by name, to be kept."""
        bounds = np.array([np.nan if bound is None else bound for bound in self.bounds])
        return {
            "quantile_levels": self.quantile_levels,
            "positions": self.positions,
            "series_ids": self.series_ids,
            "stretch": self.stretch.astype(np.float32),
            "bounds": bounds,
        }

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, AnyArray]) -> Calibration:
        """What `arrays` gave."""
        lower, upper = (None if np.isnan(bound) else float(bound) for bound in arrays["bounds"])
        return cls(
            quantile_levels=arrays["quantile_levels"],
            positions=arrays["positions"],
            series_ids=arrays["series_ids"],
            stretch=arrays["stretch"].astype(np.float64),
            bounds=(lower, upper),
        )
