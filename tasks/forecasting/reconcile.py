"""Where the job asks for MinT: sums are forecast by the network too, and the forecasts of all are reconciled."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import numpy as np
import pyarrow as pa

from models.arrays import FloatArray
from models.baselines.fallback import Fallback
from models.hierarchy.aggregation_levels import AggregationLevels
from models.hierarchy.hierarchy import Hierarchy
from models.hierarchy.mint import LARGEST, reconciled_means, repeats_one_value, require_mint
from models.hierarchy.past_errors import past_cutoffs, past_errors
from models.hierarchy.training_panel import aggregates_with_covariates
from models.panel.forecast import Forecast
from models.panel.panel import Panel
from models.settings.forecast import ForecastSettings
from tasks.forecasting.shard import Tonight, forecast_of_rows, row_parts
from tasks.step import logger

Bounds = tuple[float | None, float | None]

Ask = Callable[[Panel, ForecastSettings], Forecast]

ADDED_UP = "sums are added up from below"


def require_method(levels: AggregationLevels) -> None:
    """See that what the job's method needs is installed; an InputError that names the remedy where it is not."""
    if levels.reconciled:
        require_mint()


def reconciled(
    parts: Iterable[pa.Table],
    panel: Panel,
    levels: AggregationLevels,
    ask: Ask,
    forecast: ForecastSettings,
    instead: Fallback,
    tonight: Tonight,
) -> tuple[Iterator[pa.Table], str]:
    """The rows of all series, moved by what the network forecasts of their sums, and a word about it.

    So many series as can be reconciled are few: here all of them are in memory.

    Args:
        parts: Rows of the table `forecast`, whole series at a time.
        panel: All series.
        levels: Those of the job.
        ask: Forecasts a panel by tonight's network, within the bounds of the settings.
        forecast: What the job asks for.
        instead: The panel's fallback, within the bounds of which the series lie.
        tonight: What the rows have in common.
    """
    count = len(panel) + len(Hierarchy.of(panel.series_ids, levels))
    if count > LARGEST:
        return iter(parts), f"{ADDED_UP}: {count} series and sums are more than the {LARGEST} that can be reconciled"
    bounds = instead.lower_bound, instead.upper_bound
    made, word = moved(forecast_of_rows(pa.concat_tables(parts)), panel, levels, ask, forecast, bounds)
    return row_parts(made, panel, tonight), word


def moved(
    below: Forecast, panel: Panel, levels: AggregationLevels, ask: Ask, forecast: ForecastSettings, bounds: Bounds
) -> tuple[Forecast, str]:
    """The forecast of all series, moved by what the network forecasts of their sums, and a word about it.

    Means are moved by MinT, and every quantile of a series and step as far as its mean, within the bounds. Where there
    is too little history to know past errors by, or they are of no use, everything stays as it is.
    """
    hierarchy = Hierarchy.of(panel.series_ids, levels)
    aggregate, cutoffs = aggregates_with_covariates(panel, hierarchy), past_cutoffs(panel)
    if not cutoffs:
        return below, f"{ADDED_UP}: {panel.lengths.max()} steps are too few to know past errors by"
    # A sum is bounded by its parts, not as one of them.
    of_sums = forecast.model_copy(update={"lower_bound": None, "upper_bound": None})

    def means(of: Panel, settings: ForecastSettings) -> FloatArray:
        return ask(of, settings).mean

    errors = [
        past_errors(aggregate, cutoffs, lambda before: means(before, of_sums)),
        past_errors(panel, cutoffs, lambda before: means(before, forecast)),
    ]
    try:
        middle = reconciled_means(
            means(aggregate, of_sums), below.mean, np.concatenate(errors), hierarchy, repeats_one_value(panel)
        )
    except Exception as error:
        logger().warning("MinT failed, so sums are added up from below: %s", error)
        return below, f"{ADDED_UP}: MinT failed: {error}"
    by = (middle - below.mean)[:, :, None]
    made = replace(below, mean=np.clip(middle, *bounds), quantiles=np.clip(below.quantiles + by, *bounds))
    count = "1 aggregate" if len(hierarchy) == 1 else f"{len(hierarchy)} aggregates"
    return made, f"reconciled by MinT with {count}, from errors at {len(cutoffs)} past cutoffs"
