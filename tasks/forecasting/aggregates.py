"""The aggregates of a night: their forecasts after those of the series, and their actuals among those scored."""

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
from tasks.forecasting.shard import CommonColumns, forecast_of_rows, row_parts
from tasks.night.job import Job

Segments = Mapping[str, BoolArray]


def with_aggregates(
    parts: Iterable[pa.Table], panel: Panel, job: Job, fallback: Fallback, columns: CommonColumns
) -> Iterator[pa.Table]:
    """The rows of a night's series, and after them those of the aggregates.

    Args:
        parts: Rows of the table `forecast`, whole series at a time.
        panel: All series.
        job: Names the aggregation levels. Without levels, no rows follow.
        fallback: The panel's fallback, with the bounds of the series.
        columns: What all rows have in common.
    """
    if not job.aggregation_levels:
        yield from parts
        return
    aggregates = AggregateForecast(
        panel,
        Hierarchy.of(panel.series_ids, job.aggregation_levels),
        lower_bound=fallback.lower_bound,
        upper_bound=fallback.upper_bound,
        seed=job.training.seed,
    )
    for part in parts:
        aggregates.accumulate(forecast_of_rows(part))
        yield part
    yield from row_parts(aggregates.finish(), panel, columns)


def merge_aggregates(panel: Panel, segments: Segments, levels: AggregationLevels) -> tuple[Panel, Segments]:
    """The panel with the aggregates among its series, and its segments with one more for each aggregation level.

    Args:
        panel: The series.
        segments: For each name a mask of the series, shape (series,).
        levels: The aggregation levels. Without levels, panel and segments stay as they are.
    """
    if not levels:
        return panel, segments
    hierarchy = Hierarchy.of(panel.series_ids, levels)
    both, place = merge_panels(panel, aggregate_panel(panel, hierarchy))
    no_aggregate = np.zeros(len(hierarchy), bool)
    level = np.concatenate([np.full(len(panel), -1), hierarchy.aggregation_level])
    masks = {name: np.concatenate([mask, no_aggregate])[place] for name, mask in segments.items()}
    return both, masks | {name: (level == number)[place] for number, name in enumerate(levels.names)}
