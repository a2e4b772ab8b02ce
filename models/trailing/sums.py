"""Sums over the last steps of every series of a flat array, without a loop over series."""

from __future__ import annotations

import numpy as np

from models.arrays import BoolArray, FloatArray, IntArray
from models.panel.panel import Panel

Array = FloatArray | BoolArray


class Trailing:
    """Sums and means over the last positions before flat positions of a panel, each within its own series.

    Args:
        panel: The series.
        look_back: Most positions that any mean is taken over.
        at: Shape (position,), the positions to look back from; None for all.

    Attributes:
        series: Shape (total,), the series of each flat position.
        place: Shape (total,), the position's distance from the beginning of its series.
        at: Shape (position,), the positions to look back from.
    """

    def __init__(self, panel: Panel, look_back: int, at: IntArray | None = None) -> None:
        self.series = np.repeat(np.arange(len(panel)), panel.lengths)
        self.place = np.arange(len(panel.values)) - panel.offsets[:-1][self.series]
        self.look_back = look_back
        self.at = np.arange(len(panel.values)) if at is None else at
        self._behind = self.place[self.at] + 1
        # Running sums by the identity of their array. The array is kept, so that no other can get its identity.
        self._running = dict[int, tuple[Array, FloatArray]]()
        self._counts = dict[tuple[int, int], FloatArray]()

    def total(self, array: Array, back: int) -> FloatArray:
        """Sum of an array of shape (total,) over the last `back` positions, each included; shape (position,)."""
        if id(array) not in self._running:
            running = np.zeros(len(array) + 1)
            np.cumsum(array, out=running[1:])
            self._running[id(array)] = array, running
        running = self._running[id(array)][1]
        end = self.at + 1
        return np.asarray(running[end] - running[end - np.minimum(back, self._behind)])

    def count(self, counted: BoolArray, back: int) -> FloatArray:
        """How many of the last `back` positions count, shape (position,)."""
        key = (id(counted), back)
        if key not in self._counts:
            self._counts[key] = self.total(counted, back)
        return self._counts[key]

    def mean(self, array: FloatArray, counted: BoolArray, back: int) -> FloatArray:
        """Mean over those of the last `back` positions that count, 0 where none does; shape (position,).

        Args:
            array: Shape (total,), 0 where `counted` is not.
            counted: Shape (total,).
            back: How many positions.
        """
        return self.total(array, back) / np.maximum(self.count(counted, back), 1)

    def mean_of_enough(self, array: FloatArray, counted: BoolArray, back: int) -> FloatArray:
        """As `mean`, but over the whole look-back where too few of the last `back` positions count."""
        enough = self.count(counted, back) >= max(2, min(back, 8) // 2)
        if enough.all():
            return self.mean(array, counted, back)
        return np.where(enough, self.mean(array, counted, back), self.mean(array, counted, self.look_back))

    def before(self, distance: int) -> IntArray:
        """The flat position `distance` earlier, the same position where its series had not begun; shape (total,)."""
        position = np.arange(len(self.place))
        return np.where(self.place >= distance, position - distance, position)
