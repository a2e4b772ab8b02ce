"""How many rows each place has: a place is one step of one series, from the series' first row to its last."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.arrays import BoolArray, IntArray
from models.audit.rows import Rows

ONE, SEVERAL = 1, 2


class Occupancy:
    """Whether each place has no row, one or several; one byte for each place.

    Args:
        first: Shape (series,), grid position of the first place of each series.
        last: Shape (series,), grid position of its last place; before `first` where it has none.
    """

    def __init__(self, first: IntArray, last: IntArray) -> None:
        self.first, self.last = first, last
        ends = np.cumsum(np.maximum(last - first + 1, 0))
        self._base = np.concatenate([[0], ends[:-1]]) - first
        self.rows: npt.NDArray[np.uint8] = np.zeros(int(ends[-1]), np.uint8)

    def add(self, placed: Rows) -> None:
        """Count some rows; rows outside the places of their series are ignored."""
        inside = self._inside(placed)
        at = self._at(placed if inside.all() else placed.take(inside))
        again = self.rows[at] > 0
        if not (at[1:] > at[:-1]).all():
            again |= pd.Index(at).duplicated()
        self.rows[at] = ONE
        self.rows[at[again]] = SEVERAL

    def is_single(self, placed: Rows) -> BoolArray:
        """Whether a row is the only one of its place, shape (row,); False outside the places of its series."""
        inside = self._inside(placed)
        if inside.all():
            return np.asarray(self.rows[self._at(placed)] == ONE)
        inside[inside] = self.rows[self._at(placed.take(inside))] == ONE
        return inside

    def count_single(self) -> int:
        """Number of places that have one row."""
        return int(np.count_nonzero(self.rows == ONE))

    def has_row(self, first: IntArray, last: int) -> BoolArray:
        """Whether each place has a row, for places from `first` (shape (series,)) to `last`, series end to end."""
        if np.array_equal(first, self.first) and bool(np.all(self.last == last)):
            return np.asarray(self.rows > 0)
        wanted = np.maximum(last + 1 - first, 0)
        has_row = np.zeros(int(wanted.sum()), bool)
        begin, end = np.maximum(first, self.first), np.minimum(last, self.last)
        shared = np.maximum(end + 1 - begin, 0)
        counted = np.maximum(self.last - self.first + 1, 0)
        inside, known = (
            _runs(np.where(shared > 0, begin - since, 0), shared, total)
            for since, total in ((first, wanted), (self.first, counted))
        )
        has_row[inside] = self.rows[known] > 0
        return has_row

    def _inside(self, placed: Rows) -> BoolArray:
        return np.asarray((placed.index >= self.first[placed.series]) & (placed.index <= self.last[placed.series]))

    def _at(self, placed: Rows) -> IntArray:
        return np.asarray(self._base[placed.series] + placed.index)


def _runs(skip: IntArray, length: IntArray, total: IntArray) -> BoolArray:
    """For each series `skip` times False, `length` times True, and False up to `total`; shape (sum of `total`,)."""
    counts = np.stack([skip, length, total - skip - length], axis=1).ravel()
    return np.repeat(np.tile([False, True, False], len(total)), counts)
