"""Sums over the last steps of every series of a flat array, without a loop over series."""

from __future__ import annotations

import numpy as np

from models.arrays import BoolArray, FloatArray, IntArray
from models.panel.panel import Panel

Array = FloatArray | BoolArray


class Trailing:
    """Looks back from flat positions of a panel, never past the beginning of their series.

    Args:
        panel: The series.
        reach: How many positions back the longest look goes.
        at: Shape (position,), from where to look back; None for everywhere.

    Attributes:
        series: Shape (total,), the series of each flat position.
        place: Shape (total,), the position's distance from the beginning of its series.
        at: Shape (position,), from where it looks back.
    """

    def __init__(self, panel: Panel, reach: int, at: IntArray | None = None) -> None:
        self.series = np.repeat(np.arange(len(panel)), panel.lengths)
        self.place = np.arange(len(panel.values)) - panel.offsets[:-1][self.series]
        self.reach = reach
        self.at = np.arange(len(panel.values)) if at is None else at
        self._behind = self.place[self.at] + 1
        # Asked for again and again, by the array's identity; holding on to it keeps that from being another's.
        self._running = dict[int, tuple[Array, FloatArray]]()
        self._counts = dict[tuple[int, int], FloatArray]()

    def total(self, array: Array, back: int) -> FloatArray:
        """Sum of an array of shape (total,) over the last `back` positions, their own included; shape (position,)."""
        if id(array) not in self._running:
            running = np.zeros(len(array) + 1)
            np.cumsum(array, out=running[1:])
            self._running[id(array)] = array, running
        running = self._running[id(array)][1]
        end = self.at + 1
        return np.asarray(running[end] - running[end - np.minimum(back, self._behind)])

    def count(self, counted: BoolArray, back: int) -> FloatArray:
        """`total` of what counts, shape (position,)."""
        key = (id(counted), back)
        if key not in self._counts:
            self._counts[key] = self.total(counted, back)
        return self._counts[key]

    def mean(self, array: FloatArray, counted: BoolArray, back: int) -> FloatArray:
        """Mean of what counts over the last `back` positions, 0 where nothing does; shape (position,).

        Args:
            array: Shape (total,), 0 where `counted` is not.
            counted: Shape (total,).
            back: How many positions.
        """
        return self.total(array, back) / np.maximum(self.count(counted, back), 1)

    def mean_of_enough(self, array: FloatArray, counted: BoolArray, back: int) -> FloatArray:
        """`mean`, but over the whole reach where the last `back` positions hold too little to go by."""
        enough = self.count(counted, back) >= max(2, min(back, 8) // 2)
        if enough.all():
            return self.mean(array, counted, back)
        return np.where(enough, self.mean(array, counted, back), self.mean(array, counted, self.reach))

    def before(self, distance: int) -> IntArray:
        """The flat position `distance` earlier, the position's own where its series had not begun; shape (total,)."""
        here = np.arange(len(self.place))
        return np.where(self.place >= distance, here - distance, here)
