"""Reconciliation by MinT: the network forecasts the aggregates too, and all forecasts are made to agree."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from models.arrays import FloatArray
from models.hierarchy.aggregation_levels import AggregationLevels
from models.hierarchy.hierarchy import Hierarchy
from models.hierarchy.mint import LARGEST, reconciled_means, repeats_one_value, require_mint
from models.hierarchy.past_errors import past_cutoffs, past_errors
from models.hierarchy.training_panel import aggregates_with_covariates
from models.panel.forecast import Forecast
from models.panel.panel import Panel
from models.settings.forecast import ForecastSettings
from tasks.forecasting.shard import CommonColumns, forecast_of_rows, row_parts
from tasks.step import logger

Bounds = tuple[float | None, float | None]

Predict = Callable[[Panel, ForecastSettings], Forecast]

BOTTOM_UP = "aggregates are bottom-up"


def require_method(levels: AggregationLevels) -> None:
    """Check that the package is installed that the job's method needs.

    Raises:
        InputError: it is not; the message says how to install it.
    """
    if levels.reconciled:
        require_mint()


@dataclass(frozen=True)
class Reconciliation:
    """What a reconciliation needs beside the forecasts of the series.

    Attributes:
        levels: The job's aggregation levels.
        predict: Forecasts a panel by tonight's network, within the bounds of the settings.
        forecast: The job's settings of the forecast.
        bounds: The bounds of the series.
    """

    levels: AggregationLevels
    predict: Predict
    forecast: ForecastSettings
    bounds: Bounds

    def of_rows(
        self, parts: Iterable[pa.Table], panel: Panel, columns: CommonColumns
    ) -> tuple[Iterator[pa.Table], str]:
        """Reconcile the rows of all series with the network's forecasts of their aggregates.

        A night that can be reconciled has few series, so all of them are held in memory here.

        Args:
            parts: Rows of the table `forecast`, whole series at a time.
            panel: All series.
            columns: What all rows have in common.

        Returns:
            The rows, and a sentence about what was done.
        """
        count = len(panel) + len(Hierarchy.of(panel.series_ids, self.levels))
        if count > LARGEST:
            sentence = f"{BOTTOM_UP}: {count} series and aggregates are more than the {LARGEST} that MinT can reconcile"
            return iter(parts), sentence
        reconciled, sentence = self.of_forecast(forecast_of_rows(pa.concat_tables(parts)), panel)
        return row_parts(reconciled, panel, columns), sentence

    def of_forecast(self, series: Forecast, panel: Panel) -> tuple[Forecast, str]:
        """Reconcile the forecast of all series with the network's forecasts of their aggregates.

        MinT moves the means. Every quantile of a series and step moves as far as its mean, within the bounds. If there
        is too little history to measure past errors, or MinT fails, the forecast stays as it is.

        Returns:
            The forecast, and a sentence about what was done.
        """
        hierarchy = Hierarchy.of(panel.series_ids, self.levels)
        aggregates, cutoffs = aggregates_with_covariates(panel, hierarchy), past_cutoffs(panel)
        if not cutoffs:
            return series, f"{BOTTOM_UP}: {panel.lengths.max()} steps of history are too few to measure past errors"
        errors = [
            past_errors(aggregates, cutoffs, self._means_of_aggregates),
            past_errors(panel, cutoffs, self._means_of_series),
        ]
        try:
            means = reconciled_means(
                self._means_of_aggregates(aggregates),
                series.mean,
                np.concatenate(errors),
                hierarchy,
                repeats_one_value(panel),
            )
        except Exception as error:
            logger().warning("MinT failed, so %s: %s", BOTTOM_UP, error)
            return series, f"{BOTTOM_UP}: MinT failed: {error}"
        shift = (means - series.mean)[:, :, None]
        reconciled = replace(
            series,
            mean=np.clip(means, *self.bounds),
            quantiles=np.clip(series.quantiles + shift, *self.bounds),
        )
        count = "1 aggregate" if len(hierarchy) == 1 else f"{len(hierarchy)} aggregates"
        return reconciled, f"reconciled by MinT with {count}, from errors at {len(cutoffs)} past cutoffs"

    def _means_of_series(self, panel: Panel) -> FloatArray:
        return self.predict(panel, self.forecast).mean

    def _means_of_aggregates(self, panel: Panel) -> FloatArray:
        # The bounds are those of a series, not of a sum of series.
        unbounded = self.forecast.model_copy(update={"lower_bound": None, "upper_bound": None})
        return self.predict(panel, unbounded).mean
