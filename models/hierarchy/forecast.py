"""Forecasts of aggregates, added up from the forecasts of their series part by part."""

from __future__ import annotations

import numpy as np

from models.arrays import FloatArray
from models.hierarchy.hierarchy import Hierarchy
from models.hierarchy.quantiles_of_sums import quantiles_of_sums
from models.panel.forecast import Forecast
from models.panel.panel import Panel


class AggregateForecast:
    """Collects the forecasts of all series, some at a time, and gives the forecasts of their aggregates.

    Means and seasonal naives are sums. Quantiles are those of the sum (`quantiles_of_sums`); for these, the quantiles
    of all series stay in memory, four bytes each.

    Args:
        panel: The history of the series.
        hierarchy: Which series add up to which aggregates.
        lower_bound: No series is below it.
        upper_bound: No series is above it.
        seed: Orders the samples that the past does not order.
    """

    def __init__(
        self,
        panel: Panel,
        hierarchy: Hierarchy,
        *,
        lower_bound: float | None = None,
        upper_bound: float | None = None,
        seed: int = 0,
    ) -> None:
        self._panel, self._hierarchy, self._seed = panel, hierarchy, seed
        self._bounds = lower_bound, upper_bound
        self._added = np.zeros(len(panel), bool)
        self._by_fallback = np.zeros(len(panel), bool)
        shape = len(hierarchy), panel.horizon
        self._mean, self._baseline, self._with_baseline = np.zeros(shape), np.zeros(shape), np.zeros(shape)
        self._quantile_levels: FloatArray | None = None
        self._quantiles = np.empty((0, 0, 0), np.float32)

    def accumulate(self, part: Forecast) -> None:
        """Add the forecast of some of the panel's series.

        Raises:
            ValueError: where a series is not in the panel, or was added before.
        """
        place = np.minimum(np.searchsorted(self._panel.series_ids, part.series_ids), len(self._panel) - 1)
        unknown = self._panel.series_ids[place] != part.series_ids
        wrong = unknown | self._added[place]
        if wrong.any():
            raise ValueError(
                f"{int(wrong.sum())} forecasts are of series that are not in the panel or were added before: "
                f"{part.series_ids[wrong][:5].tolist()}. Add each series of the panel once."
            )
        if self._quantile_levels is None:
            self._quantile_levels = part.quantile_levels
            self._quantiles = np.empty((len(self._panel), *part.quantiles.shape[1:]), np.float32)
        self._added[place] = True
        self._quantiles[place] = part.quantiles
        self._by_fallback[place] = part.source == "fallback"
        self._mean += self._hierarchy.sums(part.mean, place)
        has_baseline = ~np.isnan(part.baseline)
        self._baseline += self._hierarchy.sums(np.where(has_baseline, part.baseline, 0.0), place)
        self._with_baseline += self._hierarchy.sums(has_baseline, place)

    def finish(self) -> Forecast:
        """The forecast of every aggregate.

        `reason` says how many parts of an aggregate came from the fallback; `source` is `fallback` where all did.

        Raises:
            ValueError: where the forecast of a series of the panel was not added.
        """
        if self._quantile_levels is None or not self._added.all():
            missing = self._panel.series_ids[~self._added]
            raise ValueError(
                f"{len(missing)} series have no forecast, so their aggregates cannot be added up: "
                f"{missing[:5].tolist()}. Add the forecast of every series of the panel."
            )
        lower, upper = self._bounds
        quantiles = quantiles_of_sums(
            self._quantiles,
            self._quantile_levels,
            self._panel,
            self._hierarchy,
            lower_bound=lower,
            upper_bound=upper,
            seed=self._seed,
        )
        parts = self._hierarchy.parts
        least, most = (None if bound is None else (bound * parts)[:, None, None] for bound in self._bounds)
        by_fallback = self._hierarchy.sums(self._by_fallback[:, None])[:, 0].astype(int)
        return Forecast(
            series_ids=self._hierarchy.series_ids,
            quantile_levels=self._quantile_levels,
            quantiles=quantiles if least is None and most is None else np.clip(quantiles, least, most),
            mean=self._mean,
            # A series that was never observed has no seasonal naive; it adds nothing to that of its aggregates.
            baseline=np.where(self._with_baseline > 0, self._baseline, np.nan),
            source=np.where(by_fallback == parts, "fallback", "model"),
            reason=np.array(
                [
                    f"{some} of {total} parts by fallback" if some else ""
                    for some, total in zip(by_fallback, parts, strict=True)
                ],
                dtype=str,
            ),
        )
