"""Find the origin of a grid where its frequency has several: 2W-FRI has two grids, and 8h has eight."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

import numpy as np
import pandas as pd

from models.arrays import DatetimeArray
from models.calendar.counting import commonest_phase, phases
from models.calendar.grid import TimeGrid

# So many timestamps show the origin of a source.
ENOUGH = 1_000_000


def origin_of_timestamps(grid: TimeGrid, batches: Iterable[DatetimeArray | pd.DatetimeIndex]) -> str | None:
    """The origin that makes nearly all timestamps steps, where the grid as it is has less than half of them.

    Args:
        grid: A grid without an origin.
        batches: Timestamps as `TimeGrid.to_index` takes them, shape (n,) each; only the first million counts.

    Returns:
        A step in local time; None where the grid is right as it is, or no other one is clearly better.

    >>> fridays = np.array(["2024-01-12", "2024-01-26", "2024-02-09"], "M8[us]")
    >>> origin_of_timestamps(TimeGrid("2W-FRI"), [fridays])
    '1970-01-09T00:00:00'
    """
    if not grid.has_others:
        return None
    counted, rule = Counter[int](), grid.rule
    for batch in batches:
        found, times = np.unique(phases(rule, grid.times(batch)), return_counts=True)
        counted.update(dict(zip(found.tolist(), times.tolist(), strict=True)))
        if counted.total() >= ENOUGH:
            break
    phase = commonest_phase(rule, counted)
    return None if phase == rule.phase else grid.first_step_at(phase)


def origin_of_night(grid: TimeGrid, cutoff: datetime, first: datetime) -> str | None:
    """The origin of the grid on which a night was published.

    Args:
        grid: A grid without an origin.
        cutoff: The night's cutoff, with a zone.
        first: The first time that it forecasts, with a zone.

    Returns:
        A step in local time; None where the grid is right as it is, or the night was on a grid of another frequency
        or time zone.
    """
    night = pd.DatetimeIndex([cutoff, first])
    if not grid.has_others or grid.to_index(night)[1].all():
        return None
    phase = int(phases(grid.rule, grid.times(night[:1]))[0])
    if phase < 0 or (phase - grid.rule.phase) % grid.rule.base:
        return None
    origin = grid.first_step_at(phase)
    index, on_grid = replace(grid, origin=origin).to_index(night)
    return origin if on_grid.all() and index[1] == index[0] + 1 else None
