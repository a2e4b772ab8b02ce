"""Volume classes: thirds of the series by their size, drawn anew once in a while and the same on every night between.

Sizes are taken at fixed positions of the time grid, so the classes of a night follow from the history alone. No memory
of earlier nights is needed, and a series whose size lies near a border does not change its class every night.
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
# Classes of fewer than ten series each would say little.
LEAST_SERIES = 30
DAYS_BETWEEN = 28
SERIES_AT_ONCE = 4_096


class VolumeClasses:
    """The volume classes of many nights as segments `volume=low`, `volume=middle` and `volume=high`.

    The size of a series is the mean of |value| over the two periods before its class was last drawn. A period is 28
    days, or the shortest season where that is longer. Classes are drawn at every grid position that is a multiple of a
    period; a series that has no value before that is in no class until the next draw.

    Args:
        panel: The series.
        mask: Shape (series,), the series to classify; all of them where None.
    """

    def __init__(self, panel: Panel, mask: BoolArray | None = None) -> None:
        self._panel = panel
        self._mask = np.ones(len(panel), bool) if mask is None else mask
        self._period = _period(panel.grid, panel.season_lengths[0])
        self._drawn: dict[int, dict[str, BoolArray]] = {}

    def at(self, cutoff_index: int) -> dict[str, BoolArray]:
        """The classes on one night, which see nothing after its cutoff.

        Args:
            cutoff_index: Grid position of the cutoff.

        Returns:
            Name to a mask of shape (series,). Series of one size share a class, and an empty class is left out. Empty
            where fewer than `LEAST_SERIES` have a size.
        """
        draw = cutoff_index // self._period
        if draw not in self._drawn:
            self._drawn[draw] = self._draw(draw * self._period)
        return self._drawn[draw]

    def _draw(self, index: int) -> dict[str, BoolArray]:
        size = np.concatenate([np.zeros(0), *self._sizes(index)])
        known = ~np.isnan(size) & self._mask
        ordered = np.sort(size[known])
        if len(ordered) < LEAST_SERIES:
            return {}
        borders = ordered[[len(ordered) // 3, 2 * len(ordered) // 3]]
        place = np.where(known, np.searchsorted(borders, size, side="right"), -1)
        masks = {f"volume={name}": place == number for number, name in enumerate(CLASSES)}
        return {name: mask for name, mask in masks.items() if mask.any()}

    def _sizes(self, index: int) -> Iterator[FloatArray]:
        """Mean of |value| over the two periods up to a grid position, NaN where there was none; of some series each."""
        skip = self._panel.cutoff_index - index
        for rows in shards(len(self._panel), SERIES_AT_ONCE):
            values = np.abs(self._panel.part(rows).tail(2 * self._period, skip=skip).astype(np.float64))
            count = np.count_nonzero(~np.isnan(values), axis=1)
            yield np.where(count > 0, np.nansum(values, axis=1) / np.maximum(count, 1), np.nan)


def history_needed(grid: TimeGrid, season_length: int) -> int:
    """How many steps up to a night's cutoff its classes may depend on."""
    return 3 * _period(grid, season_length)


def _period(grid: TimeGrid, season_length: int) -> int:
    return max(season_length, ceil(DAYS_BETWEEN * grid.steps_per_day))
