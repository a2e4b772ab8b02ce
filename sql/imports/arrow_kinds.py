"""Brings the columns of a Parquet file to the types that tables have here."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from sql.errors import SourceError, counted_rows
from sql.imports.column_kinds import as_meant, times_of
from sql.imports.file_format import FileFormat, Meaning
from sql.source import columns


def typed_arrow(rows: pa.Table, said: FileFormat, where: str) -> pa.Table:
    """The columns as text, int64, float64, bool, date or timestamp[us].

    A column keeps the kind that it has in the file, unless `said` gives it a meaning. A number that neither int64 nor
    float64 holds exactly becomes text.

    Args:
        rows: As read.
        said: What the user says about the columns.
        where: The file, for an error.

    Raises:
        SourceError: where a column does not hold what its name or the user says, or what a table cannot hold.
    """
    return pa.table({name: _typed(rows[name], said.meaning(name), name, where) for name in rows.column_names})


def _typed(column: pa.ChunkedArray, meaning: Meaning | None, name: str, where: str) -> pa.ChunkedArray:
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
    if pa.types.is_large_string(column.type) or pa.types.is_string_view(column.type):
        column = column.cast(pa.string())
    kind = column.type
    if pa.types.is_timestamp(kind) and kind.unit == "ns":
        _check_nanoseconds(column, name, where)
    if meaning == "text":
        return _text(column, name, where)
    if meaning and pa.types.is_string(kind):
        return as_meant(column, meaning, name, where)
    if meaning == "number":
        if pa.types.is_decimal(kind):
            column = column.cast(pa.string())
        return columns.numbers(column, name, where)
    if meaning == "time" and not pa.types.is_date(kind):
        return times_of(column, name, where)
    return _plain(column, name, where)


def _check_nanoseconds(column: pa.ChunkedArray, name: str, where: str) -> None:
    lost = pc.not_equal(pc.nanosecond(column), 0)
    if n := pc.sum(lost).as_py():
        raise SourceError(
            f"The column {name!r} of {where} holds times with nanoseconds ({counted_rows(n)}), such as "
            f"{column.filter(lost).cast(pa.string())[0].as_py()}. A table holds microseconds: round them in the file."
        )


def _plain(column: pa.ChunkedArray, name: str, where: str) -> pa.ChunkedArray:
    kind = column.type
    if pa.types.is_timestamp(kind):
        return column.cast(pa.timestamp("us", "UTC" if kind.tz else None), safe=False)
    if pa.types.is_date(kind):
        return column.cast(pa.date32())
    if pa.types.is_boolean(kind):
        return column
    if pa.types.is_integer(kind) or (pa.types.is_decimal(kind) and kind.scale <= 0):
        return _exact(column, pa.int64(), name, where)
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return _exact(column, pa.float64(), name, where)
    return _text(column, name, where)


def _exact(column: pa.ChunkedArray, kind: pa.DataType, name: str, where: str) -> pa.ChunkedArray:
    """The column in a type of numbers; as text where that would change a number."""
    try:
        # By way of text, a decimal becomes the nearest double.
        numbers = (column.cast(pa.string()) if pa.types.is_decimal(column.type) else column).cast(kind)
        if pa.types.is_decimal(column.type):
            decimals = pa.decimal128(38, column.type.scale)
            same = pc.equal(numbers.cast(decimals), column.cast(decimals))
            return numbers if pc.all(same).as_py() is not False else _text(column, name, where)
    except pa.ArrowInvalid:
        return _text(column, name, where)
    return numbers


def _text(column: pa.ChunkedArray, name: str, where: str) -> pa.ChunkedArray:
    try:
        return column.cast(pa.string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise SourceError(
            f"The column {name!r} of {where} holds {column.type}, which a table cannot hold. Remove the column."
        ) from None
