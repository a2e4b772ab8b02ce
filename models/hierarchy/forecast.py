"""Forecasts of upper series, added up from those of the series below as they come, part by part."""

from __future__ import annotations

import numpy as np

from models.arrays import FloatArray
from models.hierarchy.hierarchy import Hierarchy
from models.hierarchy.quantiles_of_sums import quantiles_of_sums
from models.panel.forecast import Forecast
from models.panel.panel import Panel


class UpperForecast:
    """Takes the forecast of every series, some at a time, and gives that of the upper series.

    Means and seasonal naives are sums; quantiles are those of the sum (`quantiles_of_sums`), for which the quantiles
    of all series are kept, four bytes each.

    Args:
        panel: The history of the series.
        hierarchy: The upper series above them.
        lower_bound: What no series below is under.
        upper_bound: What no series below is over.
        seed: Of what the past does not order.
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
        self._taken = np.zeros(len(panel), bool)
        self._by_fallback = np.zeros(len(panel), bool)
        shape = len(hierarchy), panel.horizon
        self._mean, self._baseline, self._with_baseline = np.zeros(shape), np.zeros(shape), np.zeros(shape)
        self._levels: FloatArray | None = None
        self._quantiles = np.empty((0, 0, 0), np.float32)

    def accumulate(self, part: Forecast) -> None:
        """Take the forecast of some of the panel's series.

        Raises:
            ValueError: where one is not in the panel, or was taken before.
        """
        place = np.minimum(np.searchsorted(self._panel.series_ids, part.series_ids), len(self._panel) - 1)
        wrong = (self._panel.series_ids[place] != part.series_ids) | self._taken[place]
        if wrong.any():
            raise ValueError(f"Forecasts of {part.series_ids[wrong][:5].tolist()} came twice, or of no known series.")
        if self._levels is None:
            self._levels = part.quantile_levels
            self._quantiles = np.empty((len(self._panel), *part.quantiles.shape[1:]), np.float32)
        self._taken[place] = True
        self._quantiles[place] = part.quantiles
        self._by_fallback[place] = part.source == "fallback"
        self._mean += self._hierarchy.sums(part.mean, place)
        has_baseline = ~np.isnan(part.baseline)
        self._baseline += self._hierarchy.sums(np.where(has_baseline, part.baseline, 0.0), place)
        self._with_baseline += self._hierarchy.sums(has_baseline, place)

    def finish(self) -> Forecast:
        """The forecast of every upper series.

        Where some of its parts came by fallback its reason says how many; where all did, so is its source.

        Raises:
            ValueError: where the forecast of a series of the panel was not taken.
        """
        if self._levels is None or not self._taken.all():
            lacking = self._panel.series_ids[~self._taken]
            raise ValueError(f"{len(lacking)} series were not forecast, so sums lack them: {lacking[:5].tolist()}.")
        lower, upper = self._bounds
        quantiles = quantiles_of_sums(
            self._quantiles,
            self._levels,
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
            quantile_levels=self._levels,
            quantiles=quantiles if least is None and most is None else np.clip(quantiles, least, most),
            mean=self._mean,
            # A series that was never observed has no seasonal naive, and adds nothing to that of a sum.
            baseline=np.where(self._with_baseline > 0, self._baseline, np.nan),
            source=np.where(by_fallback == parts, "fallback", "model"),
            reason=np.array(
                [
                    f"{some} of {all_} parts by fallback" if some else ""
                    for some, all_ in zip(by_fallback, parts, strict=True)
                ],
                dtype=str,
            ),
        )
