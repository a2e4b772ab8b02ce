r"""Upper levels: which series add up to which upper series, and what those are called.

A series named by several columns is called `Madrid/coffee` (`sql/source/columns.py` writes such ids). An upper
series keeps some of the columns and has `*` in place of those that it sums over: `Madrid/*`, `*/coffee`, and `*/*`,
the total. No series of the source has a part that is `*`: there it is written `\*`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from models.arrays import FloatArray, FloatingArray, IntArray, StringArray
from models.hierarchy.levels import Levels

SUMMED = "*"
_PART = re.compile(r"(?:\A|/)((?:[^\\/]|\\.)*)", re.DOTALL)


@dataclass(frozen=True)
class Hierarchy:
    """Which series add up to which upper series.

    Attributes:
        series_ids: Shape (upper,), sorted.
        level: Shape (upper,), each one's place in `Levels.names`.
        part_of: Shape (level, series): the upper series that each series is a part of.
    """

    series_ids: StringArray
    level: IntArray
    part_of: IntArray

    @classmethod
    def of(cls, series_ids: StringArray, levels: Levels) -> Hierarchy:
        """The upper series above some series, at the levels asked for.

        Args:
            series_ids: Shape (series,).
            levels: One or more.

        Raises:
            ValueError: where an id has not as many parts as the levels speak of.
        """
        width = len(levels.kept[0])
        parts = [parts_of(str(series_id), width) for series_id in series_ids]
        above = [["/".join(map(_part_above, each, kept)) for each in parts] for kept in levels.kept]
        names, part_of = np.unique(np.array(above, dtype=str), return_inverse=True)
        part_of = part_of.reshape(len(above), len(series_ids))
        level = np.zeros(len(names), np.int64)
        for number, upper in enumerate(part_of):
            level[upper] = number
        return cls(names, level, part_of)

    def __len__(self) -> int:
        return len(self.series_ids)

    @property
    def parts(self) -> IntArray:
        """Number of series in each upper series, shape (upper,)."""
        return np.bincount(self.part_of.ravel(), minlength=len(self))

    def matrix(self, series: slice | IntArray = slice(None)) -> sparse.csr_array:
        """Ones where a series is part of an upper series, shape (upper, the series asked for)."""
        above = self.part_of[:, series]
        columns = np.broadcast_to(np.arange(above.shape[1]), above.shape)
        return sparse.csr_array(
            (np.ones(above.size), (above.ravel(), columns.ravel())), shape=(len(self), above.shape[1])
        )

    def sums(self, values: FloatingArray, series: slice | IntArray = slice(None)) -> FloatArray:
        """Sums over the series asked for: from (series, ...) to (upper, ...)."""
        flat = np.asarray(values, np.float64).reshape(len(values), -1)
        return np.asarray(self.matrix(series) @ flat).reshape(len(self), *values.shape[1:])


def _part_above(part: str, keep: bool) -> str:
    return part if keep else SUMMED


def parts_of(series_id: str, count: int) -> list[str]:
    r"""The parts of an id of `count` columns, as they stand there, escapes and all.

    Raises:
        ValueError: where there are fewer or more.

    >>> parts_of(r"Madrid/salt\/pepper", 2)
    ['Madrid', 'salt\\/pepper']
    """
    if count == 1:
        return [series_id]
    parts = series_id.split("/") if "\\" not in series_id else _PART.findall(series_id)
    if len(parts) != count:
        raise ValueError(f"The series id {series_id!r:.80} has {len(parts)} parts, not {count}.")
    return parts
