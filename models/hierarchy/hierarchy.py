r"""The hierarchy of series and aggregates: which series add up to which aggregate, and the aggregates' ids.

The id of a series that several columns name is `Madrid/coffee` (`sql/source/columns.py` writes such ids). The id of an
aggregate keeps some of the columns and has `*` for each column that it sums over: `Madrid/*`, `*/coffee`, and `*/*`,
the total. A `*` in the source itself is written `\*`, so no series has the id of an aggregate.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from models.arrays import FloatArray, FloatingArray, IntArray, StringArray
from models.hierarchy.aggregation_levels import AggregationLevels

if TYPE_CHECKING:
    from scipy import sparse

SUMMED = "*"
_PART = re.compile(r"(?:\A|/)((?:[^\\/]|\\.)*)", re.DOTALL)


@dataclass(frozen=True)
class Hierarchy:
    """Which series add up to which aggregates.

    Attributes:
        series_ids: Shape (aggregate,), sorted ids of the aggregates.
        aggregation_level: Shape (aggregate,), the place of each in `AggregationLevels.names`.
        part_of: Shape (aggregation level, series): the aggregate that each series is a part of.
    """

    series_ids: StringArray
    aggregation_level: IntArray
    part_of: IntArray

    @classmethod
    def of(cls, series_ids: StringArray, aggregation_levels: AggregationLevels) -> Hierarchy:
        """The aggregates of some series.

        Args:
            series_ids: Shape (series,).
            aggregation_levels: One or more.

        Raises:
            ValueError: where the number of parts of an id is not the number of columns of the aggregation levels.
        """
        width = len(aggregation_levels.kept[0])
        parts = [parts_of(str(series_id), width) for series_id in series_ids]
        ids = [["/".join(map(_part, each, kept)) for each in parts] for kept in aggregation_levels.kept]
        names, part_of = np.unique(np.array(ids, dtype=str), return_inverse=True)
        part_of = part_of.reshape(len(ids), len(series_ids))
        aggregation_level = np.zeros(len(names), np.int64)
        for number, aggregate in enumerate(part_of):
            aggregation_level[aggregate] = number
        return cls(names, aggregation_level, part_of)

    def __len__(self) -> int:
        return len(self.series_ids)

    @property
    def parts(self) -> IntArray:
        """Number of series in each aggregate, shape (aggregate,)."""
        return np.bincount(self.part_of.ravel(), minlength=len(self))

    def matrix(self, series: slice | IntArray = slice(None)) -> sparse.csr_array:
        """The summing matrix of the chosen series, shape (aggregate, chosen series): 1 where a series is a part."""
        # Only jobs that have aggregates pay for the import.
        from scipy import sparse

        aggregate = self.part_of[:, series]
        columns = np.broadcast_to(np.arange(aggregate.shape[1]), aggregate.shape)
        return sparse.csr_array(
            (np.ones(aggregate.size), (aggregate.ravel(), columns.ravel())), shape=(len(self), aggregate.shape[1])
        )

    def sums(self, values: FloatingArray, series: slice | IntArray = slice(None)) -> FloatArray:
        """Sums over the chosen series: from (chosen series, ...) to (aggregate, ...)."""
        flat = np.asarray(values, np.float64).reshape(len(values), -1)
        return np.asarray(self.matrix(series) @ flat).reshape(len(self), *values.shape[1:])


def _part(part: str, keep: bool) -> str:
    return part if keep else SUMMED


def parts_of(series_id: str, count: int) -> list[str]:
    r"""The parts of an id of `count` columns, with their escapes.

    Raises:
        ValueError: where the id has fewer or more parts.

    >>> parts_of(r"Madrid/salt\/pepper", 2)
    ['Madrid', 'salt\\/pepper']
    """
    if count == 1:
        return [series_id]
    parts = series_id.split("/") if "\\" not in series_id else _PART.findall(series_id)
    if len(parts) != count:
        raise ValueError(
            f"The series id {series_id!r:.80} has {len(parts)} parts, not {count}. Name the columns of the id in "
            "source.series_id."
        )
    return parts
