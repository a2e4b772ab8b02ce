"""Sums over the last steps of every series of a flat array, without a loop over series."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from models.panel import Panel

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


class Trailing:
    """Looks back from every flat position of a panel, never past the beginning of its series.

    Args:
        panel: The series.
        reach: How many positions back the longest look goes.

    Attributes:
        series: Shape (total,), the series of each position.
        place: Shape (total,), the position's distance from the beginning of its series.
    """

    def __init__(self, panel: Panel, reach: int) -> None:
        self.series = np.repeat(np.arange(len(panel)), panel.lengths)
        self.place = np.arange(len(panel.values)) - panel.offsets[:-1][self.series]
        self.reach = reach
        self._counts = dict[tuple[int, int], FloatArray]()
        self._counted = list[BoolArray]()

    def total(self, array: FloatArray | BoolArray, back: int) -> FloatArray:
        """Sum over the last `back` positions, the position itself included; shape (total,)."""
        running = np.concatenate([[0.0], np.cumsum(array, dtype=np.float64)])
        end = np.arange(1, len(array) + 1)
        return np.asarray(running[end] - running[end - np.minimum(back, self.place + 1)])

    def count(self, counted: BoolArray, back: int) -> FloatArray:
        """`total` of what counts; asked for again and again, so kept."""
        key = (id(counted), back)
        if key not in self._counts:
            # Holding on to the array keeps its identity from being given to another.
            self._counted.append(counted)
            self._counts[key] = self.total(counted, back)
        return self._counts[key]

    def mean(self, array: FloatArray, counted: BoolArray, back: int) -> FloatArray:
        """Mean of what counts over the last `back` positions, 0 where nothing does.

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

    def before(self, distance: int) -> npt.NDArray[np.int64]:
        """The flat position `distance` earlier, the position's own where its series had not begun; shape (total,)."""
        here = np.arange(len(self.place))
        return np.where(self.place >= distance, here - distance, here)
