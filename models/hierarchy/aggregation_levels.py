"""The aggregation levels that a job asks for: which columns of the series id each keeps, and its name.

They stand apart from `models/hierarchy/hierarchy.py`, so that reading a job file imports neither NumPy nor SciPy.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches

# In the name of a level, "/" separates columns, and "=" would make it look like the segment of a static column.
_ESCAPED = re.compile(r"[\\/=]")


@dataclass(frozen=True)
class AggregationLevels:
    r"""The aggregation levels that a job asks for; false where it asks for none.

    Attributes:
        names: The segment name of each level in the scores: `total`, `by store`, `by store/item`. A "/", "=" or "\"
            in the name of a column has a "\" before it.
        kept: For each level and each column of the id, whether the level keeps the column.
        method: How the aggregates are forecast, see `HierarchySettings`.
    """

    names: tuple[str, ...] = ()
    kept: tuple[tuple[bool, ...], ...] = ()
    method: str = "bottom_up"

    def __bool__(self) -> bool:
        return bool(self.names)

    @property
    def reconciled(self) -> bool:
        """Whether aggregates have forecasts of their own, which are reconciled with those of the series."""
        return bool(self) and self.method == "mint"

    @classmethod
    def of(
        cls, columns: Sequence[str], aggregates: Sequence[Sequence[str]], method: str = "bottom_up"
    ) -> AggregationLevels:
        """Aggregation levels from the columns that each of them keeps, in any order.

        Args:
            columns: Columns of the id of a series.
            aggregates: For each level, the columns that it keeps; none for the total.
            method: How the aggregates are forecast.

        Raises:
            ValueError: where a level names a column that is not in the id, names a column twice, keeps all columns,
                or repeats another level.

        >>> AggregationLevels.of(["store", "item"], [["store"], []]).names
        ('by store', 'total')
        """
        levels: list[tuple[bool, ...]] = []
        for names in aggregates:
            key = f"hierarchy.aggregates lists {list(names)}, "
            for name in names:
                if name not in columns:
                    near = get_close_matches(name, columns, n=1)
                    remedy = f"did you mean {near[0]!r}?" if near else "[] is the total of all series"
                    raise ValueError(f"{key}but {name!r} is not a column of source.series_id {[*columns]}; {remedy}")
            if len(set(names)) < len(names):
                raise ValueError(f"{key}which names a column twice; name each column once")
            kept = tuple(column in names for column in columns)
            if all(kept):
                raise ValueError(
                    f"{key}which keeps all columns of source.series_id and so sums over nothing; remove it, since "
                    "these series are forecast anyway"
                )
            if kept in levels:
                raise ValueError(f"{key}which repeats another aggregate; list each aggregate once")
            levels.append(kept)
        return cls(tuple(_name(columns, kept) for kept in levels), tuple(levels), method)

    @property
    def total(self) -> AggregationLevels:
        """The total of all series alone where it is one of the levels; no level otherwise."""
        totals = tuple(kept for kept in self.kept if not any(kept))
        return AggregationLevels(("total",), totals, self.method) if totals else AggregationLevels()


def _name(columns: Sequence[str], kept: Sequence[bool]) -> str:
    names = [_ESCAPED.sub(r"\\\g<0>", column) for column, keep in zip(columns, kept, strict=True) if keep]
    return f"by {'/'.join(names)}" if names else "total"
