"""Which places of the grid have one row, which several: of every series, from its first row to its last."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.arrays import BoolArray, IntArray
from models.audit.rows import Rows

ONE, SEVERAL = 1, 2


class Occupancy:
    """How many rows each place has: none, one or several; a byte for each place.

    Args:
        first: Shape (series,), grid position of the first place of each series.
        last: Shape (series,), of its last one; before `first` where it has none.
    """

    def __init__(self, first: IntArray, last: IntArray) -> None:
        self.first, self.last = first, last
        ends = np.cumsum(np.maximum(last - first + 1, 0))
        self._base = np.concatenate([[0], ends[:-1]]) - first
        self.rows: npt.NDArray[np.uint8] = np.zeros(int(ends[-1]), np.uint8)

    def add(self, placed: Rows) -> None:
        """Count some rows; those beyond a series' places are passed over."""
        inside = self._inside(placed)
        at = self._at(placed if inside.all() else placed.take(inside))
        again = self.rows[at] > 0
        if not (at[1:] > at[:-1]).all():
            again |= pd.Index(at).duplicated()
        self.rows[at] = ONE
        self.rows[at[again]] = SEVERAL

    def alone(self, placed: Rows) -> BoolArray:
        """Rows that are the only ones of their place, shape (row,); False beyond a series' places."""
        inside = self._inside(placed)
        if inside.all():
            return np.asarray(self.rows[self._at(placed)] == ONE)
        inside[inside] = self.rows[self._at(placed.take(inside))] == ONE
        return inside

    def count_alone(self) -> int:
        """Number of places that have one row."""
        return int(np.count_nonzero(self.rows == ONE))

    def has_row(self, first: IntArray, last: int) -> BoolArray:
        """Whether the places of each series from `first` (shape (series,)) to `last` have a row, end to end."""
        if np.array_equal(first, self.first) and bool(np.all(self.last == last)):
            return np.asarray(self.rows > 0)
        steps = np.maximum(last + 1 - first, 0)
        found = np.zeros(int(steps.sum()), bool)
        begin, end = np.maximum(first, self.first), np.minimum(last, self.last)
        both = np.maximum(end + 1 - begin, 0)
        mine = np.maximum(self.last - self.first + 1, 0)
        inside, known = (
            _runs(np.where(both > 0, begin - since, 0), both, of) for since, of in ((first, steps), (self.first, mine))
        )
        found[inside] = self.rows[known] > 0
        return found

    def _inside(self, placed: Rows) -> BoolArray:
        return np.asarray((placed.index >= self.first[placed.series]) & (placed.index <= self.last[placed.series]))

    def _at(self, placed: Rows) -> IntArray:
        return np.asarray(self._base[placed.series] + placed.index)


def _runs(skip: IntArray, length: IntArray, of: IntArray) -> BoolArray:
    """In stretches of `of` places each, `skip` of them, then `length` that are True; shape (sum of `of`,)."""
    counts = np.stack([skip, length, of - skip - length], axis=1).ravel()
    return np.repeat(np.tile([False, True, False], len(of)), counts)
