"""The upper levels that a job asks for: which columns of the id each keeps, and what it is called.

Apart from `models/hierarchy/hierarchy.py`, so that a job file is read without importing what computes sums.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches


@dataclass(frozen=True)
class Levels:
    """The upper levels that a job asks for; false where it asks for none.

    Attributes:
        names: What each is called among the segments of the scores: `total`, `by store`, `by store/item`.
        kept: For each level and each column of the id, whether the level keeps it.
        method: How they are forecast, see `HierarchySettings`.
    """

    names: tuple[str, ...] = ()
    kept: tuple[tuple[bool, ...], ...] = ()
    method: str = "bottom_up"

    def __bool__(self) -> bool:
        return bool(self.names)

    @property
    def reconciled(self) -> bool:
        """Whether sums are forecast themselves and reconciled with the series."""
        return bool(self) and self.method == "mint"

    @classmethod
    def of(cls, columns: Sequence[str], levels: Sequence[Sequence[str]], method: str = "bottom_up") -> Levels:
        """Levels named by the columns that they keep, in any order.

        Args:
            columns: Columns of the id of a series.
            levels: For each level, the columns that it keeps; none for the total.
            method: How they are forecast.

        Raises:
            ValueError: where a level names a column that is not one of the id, or a column twice, or keeps all of
                them, or stands there twice.

        >>> Levels.of(["store", "item"], [["store"], []]).names
        ('by store', 'total')
        """
        found: list[tuple[bool, ...]] = []
        for level in levels:
            where = f"hierarchy.levels names {list(level)}, "
            for column in level:
                if column not in columns:
                    near = get_close_matches(column, columns, n=1)
                    remedy = f"did you mean {near[0]!r}?" if near else "[] is the total of all series"
                    raise ValueError(
                        f"{where}but {column!r} is not a column of source.series_id {[*columns]}; {remedy}"
                    )
            if len(set(level)) < len(level):
                raise ValueError(f"{where}a column twice; name each once")
            kept = tuple(column in level for column in columns)
            if all(kept):
                raise ValueError(
                    f"{where}all columns of source.series_id, so it sums over nothing: these series are forecast "
                    "anyway; leave this level out"
                )
            if kept in found:
                raise ValueError(f"{where}a level that stands there already; name each once")
            found.append(kept)
        return cls(tuple(_name(columns, kept) for kept in found), tuple(found), method)

    @property
    def total(self) -> Levels:
        """The total of all series alone, where it is one of the levels; none else."""
        sums_all = [kept for kept in self.kept if not any(kept)]
        return Levels(("total",), tuple(sums_all), self.method) if sums_all else Levels()


def _name(columns: Sequence[str], kept: Sequence[bool]) -> str:
    words = [column for column, keep in zip(columns, kept, strict=True) if keep]
    return f"by {'/'.join(words)}" if words else "total"
