"""Classes of series by their size: thirds that are drawn anew once in a while, and the same in every night between.

Sizes are taken at fixed places of the time grid, so what a night makes of a series follows from its history alone. It
needs no memory of the nights before, and a series whose size lies near a border does not change sides every night.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil

import numpy as np

from models.arrays import BoolArray, FloatArray
from models.calendar.grid import TimeGrid
from models.panel.panel import Panel
from models.panel.shards import shards

CLASSES = ("low", "middle", "high")
# Classes of fewer than ten series would say little of their own.
LEAST_SERIES = 30
DAYS_BETWEEN = 28
AT_ONCE = 4_096


def volume_segments(panel: Panel, cutoff_index: int, among: BoolArray | None = None) -> dict[str, BoolArray]:
    """Segments `volume=low`, `volume=middle` and `volume=high`: thirds of the series by their size.

    The size of a series is the mean of |value| over the two periods before its class was last drawn, a period being
    28 days or the shortest season, whichever is longer. Classes are drawn at every grid position that is a multiple of
    a period; a series that has no value before that is in none of them until the next.

    Args:
        panel: The series.
        cutoff_index: Grid position of the night; nothing after it is looked at.
        among: Shape (series,), those that are to be classified; all where None.

    Returns:
        Name to a mask of shape (series,); series of one size share a class, and a class that this leaves empty is not
        there. Nothing where fewer than `LEAST_SERIES` have a size.
    """
    size = _sizes(panel, volumes_drawn_at(panel, cutoff_index))
    known = ~np.isnan(size) if among is None else ~np.isnan(size) & among
    ordered = np.sort(size[known])
    if len(ordered) < LEAST_SERIES:
        return {}
    borders = ordered[[len(ordered) // 3, 2 * len(ordered) // 3]]
    place = np.where(known, np.searchsorted(borders, size, side="right"), -1)
    masks = {f"volume={name}": place == number for number, name in enumerate(CLASSES)}
    return {name: mask for name, mask in masks.items() if mask.any()}


def volumes_drawn_at(panel: Panel, cutoff_index: int) -> int:
    """The grid position up to which a night's classes look."""
    period = _period(panel.grid, panel.season_lengths[0])
    return cutoff_index // period * period


def volume_reach(grid: TimeGrid, season_length: int) -> int:
    """How many steps before a night's cutoff its classes may depend on."""
    return 3 * _period(grid, season_length)


def _period(grid: TimeGrid, season_length: int) -> int:
    return max(season_length, ceil(DAYS_BETWEEN * grid.steps_per_day))


def _sizes(panel: Panel, drawn_at: int) -> FloatArray:
    """Mean of |value| over the two periods up to a grid position, shape (series,); NaN where there was none."""
    period = _period(panel.grid, panel.season_lengths[0])
    return np.concatenate([np.zeros(0), *_part_sizes(panel, 2 * period, panel.cutoff_index - drawn_at)])


def _part_sizes(panel: Panel, steps: int, skip: int) -> Iterator[FloatArray]:
    for rows in shards(len(panel), AT_ONCE):
        values = np.abs(panel.part(rows).tail(steps, skip=skip).astype(np.float64))
        count = np.count_nonzero(~np.isnan(values), axis=1)
        yield np.where(count > 0, np.nansum(values, axis=1) / np.maximum(count, 1), np.nan)
