"""The upper levels of a night: their forecasts after those of the series, and their place among what is scored."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import pyarrow as pa

from models.arrays import BoolArray
from models.baselines.fallback import Fallback
from models.hierarchy.forecast import UpperForecast
from models.hierarchy.hierarchy import Hierarchy
from models.hierarchy.history import beside, upper_panel
from models.hierarchy.levels import Levels
from models.panel.panel import Panel
from tasks.forecasting.shard import Tonight, forecast_of_rows, row_parts

Segments = Mapping[str, BoolArray]


def with_upper_levels(
    parts: Iterable[pa.Table], panel: Panel, levels: Levels, instead: Fallback, seed: int, tonight: Tonight
) -> Iterator[pa.Table]:
    """The rows of a night's series as they come, and after the last ones those of the upper series.

    Args:
        parts: Rows of the table `forecast`, whole series at a time.
        panel: All series.
        levels: The levels; where there are none nothing follows.
        instead: The panel's fallback, within the bounds of which the series lie.
        seed: Orders what the past does not.
        tonight: What the rows have in common.
    """
    if not levels:
        yield from parts
        return
    sums = UpperForecast(
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


def beside_upper_levels(panel: Panel, segments: Segments, levels: Levels) -> tuple[Panel, Segments]:
    """The panel with the upper series among its own, and each level as a segment; other segments are as they were.

    Args:
        panel: The series.
        segments: Name to a mask of the series, shape (series,).
        levels: The levels; where there are none everything stays as it is.
    """
    if not levels:
        return panel, segments
    hierarchy = Hierarchy.of(panel.series_ids, levels)
    both, place = beside(panel, upper_panel(panel, hierarchy))
    none_above = np.zeros(len(hierarchy), bool)
    level = np.concatenate([np.full(len(panel), -1), hierarchy.level])
    found = {name: np.concatenate([mask, none_above])[place] for name, mask in segments.items()}
    return both, found | {name: (level == number)[place] for number, name in enumerate(levels.names)}
