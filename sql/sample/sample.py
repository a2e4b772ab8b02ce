"""What a sample is, and how many rows it has."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pyarrow as pa

PIECES = 5
"""A sample has its rows from so many places, evenly from the first to the last."""

_MOST_ROWS = 100_000
_FEWEST_ROWS = 2_000
# A table of a thousand columns has fewer rows in its sample than one of three.
_MOST_VALUES = 2_000_000


@dataclass(frozen=True)
class Sample:
    """Some rows of a file or table.

    Attributes:
        rows: Columns of string, int64, float64, bool, date or timestamp[us], the latter in UTC where times have a zone.
        where: The file or table in words, for messages; without a password.
        whole: Whether these are all rows.
        only_first: Whether they are the first rows and no others.
        left_out: Columns of kinds that a job does not read, each with its kind.
        zones: The time zone that the file itself gives to columns of times, where it does.
        notes: What a person should know about how a file was read, in sentences.
    """

    rows: pa.Table
    where: str
    whole: bool
    only_first: bool = False
    left_out: dict[str, str] = field(default_factory=dict)
    zones: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def most_rows(columns: int) -> int:
    """The most rows of a sample with so many columns.

    >>> most_rows(4), most_rows(400)
    (100000, 5000)
    """
    return min(_MOST_ROWS, max(_FEWEST_ROWS, _MOST_VALUES // max(columns, 1)))


def starts(total: int, length: int) -> Iterator[int]:
    """Where the pieces of a sample begin in so many rows, bytes or blocks; the last piece ends with them.

    >>> list(starts(1_000, 40))
    [0, 240, 480, 720, 960]
    """
    for piece in range(PIECES):
        yield max(total - length, 0) * piece // (PIECES - 1)


def readable(rows: pa.Table) -> tuple[pa.Table, dict[str, str]]:
    """The columns that a job can read, times in microseconds; and those of other kinds, each with its kind."""
    left_out = dict[str, str]()
    for i, name in reversed([*enumerate(rows.column_names)]):
        kind = rows.schema.field(i).type
        value = kind.value_type if pa.types.is_dictionary(kind) else kind
        is_other = pa.types.is_nested(value) or pa.types.is_time(value) or pa.types.is_duration(value)
        if is_other or pa.types.is_binary(value) or pa.types.is_large_binary(value):
            left_out[name] = str(kind)
            rows = rows.remove_column(i)
        elif pa.types.is_timestamp(value):
            plain = rows.column(i).cast(pa.timestamp("us", value.tz and "UTC"), safe=False)
            rows = rows.set_column(i, name, plain)
    return rows, left_out
