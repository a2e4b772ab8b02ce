"""The aggregates of a night: their forecasts after those of the series, and their place among what is scored."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import pyarrow as pa

from models.arrays import BoolArray
from models.baselines.fallback import Fallback
from models.hierarchy.aggregation_levels import AggregationLevels
from models.hierarchy.forecast import AggregateForecast
from models.hierarchy.hierarchy import Hierarchy
from models.hierarchy.history import aggregate_panel
from models.hierarchy.merge import merge_panels
from models.panel.panel import Panel
from tasks.forecasting.shard import Tonight, forecast_of_rows, row_parts

Segments = Mapping[str, BoolArray]


def with_aggregates(
    parts: Iterable[pa.Table], panel: Panel, levels: AggregationLevels, instead: Fallback, seed: int, tonight: Tonight
) -> Iterator[pa.Table]:
    """The rows of a night's series as they come, and after the last ones those of the aggregates.

    Args:
        parts: Rows of the table `forecast`, whole series at a time.
        panel: All series.
        levels: The aggregation levels; where there are none nothing follows.
        instead: The panel's fallback, within the bounds of which the series lie.
        seed: Orders what the past does not.
        tonight: What the rows have in common.
    """
    if not levels:
        yield from parts
        return
    sums = AggregateForecast(
        panel,
        Hierarchy.of(panel.series_ids, levels),
        lower_bound=instead.lower_bound,
        upper_bound=instead.upper_bound,
        seed=seed,
    )
    for part in parts:
        sums.accumulate(forecast_of_rows(part))
        yield part
    yield from row_parts(sums.finish(), panel, tonight)


def merge_aggregates(panel: Panel, segments: Segments, levels: AggregationLevels) -> tuple[Panel, Segments]:
    """The panel with the aggregates among its series, and its segments with one more for each aggregation level.

    Args:
        panel: The series.
        segments: Name to a mask of the series, shape (series,).
        levels: The aggregation levels; where there are none everything stays as it is.
    """
    if not levels:
        return panel, segments
    hierarchy = Hierarchy.of(panel.series_ids, levels)
    both, place = merge_panels(panel, aggregate_panel(panel, hierarchy))
    none_above = np.zeros(len(hierarchy), bool)
    level = np.concatenate([np.full(len(panel), -1), hierarchy.aggregation_level])
    found = {name: np.concatenate([mask, none_above])[place] for name, mask in segments.items()}
    return both, found | {name: (level == number)[place] for number, name in enumerate(levels.names)}
