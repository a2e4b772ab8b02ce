"""The upper levels of a night: their forecasts after those of the series, and their place among what is scored."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import numpy.typing as npt

from models.forecast import Forecast
from models.hierarchy import Hierarchy
from models.levels import Levels
from models.panel import Panel
from models.upper_forecast import UpperForecast
from models.upper_history import beside, upper_panel

Segments = Mapping[str, npt.NDArray[np.bool_]]


def with_upper_levels(
    parts: Iterable[Forecast],
    panel: Panel,
    levels: Levels,
    bounds: tuple[float | None, float | None],
    seed: int,
) -> Iterator[Forecast]:
    """The parts of a night's forecast as they come, and after the last one the upper series of all of them."""
    if not levels:
        yield from parts
        return
    lower, upper = bounds
    sums = UpperForecast(panel, Hierarchy.of(panel.series_ids, levels), lower_bound=lower, upper_bound=upper, seed=seed)
    for part in parts:
        sums.accumulate(part)
        yield part
    yield sums.finish()


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
