"""Notices a wide table, which has a column for each series or for each day, and makes it long."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from sql.errors import SourceError
from sql.imports.column_kinds import text_note
from sql.imports.dates import days_of
from sql.imports.file_format import FileFormat

_LISTED = 3


def as_long(rows: pa.Table, said: FileFormat, where: str) -> pa.Table:
    """A row for each series and time of a wide table.

    Where the names of two columns or more are days, these become the column `timestamp`, and the other columns identify
    the series. Otherwise each column is a series of its name, `series_id`, apart from the column of times: `timestamp`,
    the one that the user names, or else the first.

    Args:
        rows: Of CSV, columns of strings; of Parquet, any.
        said: What the user says about the columns.
        where: The file, for an error.

    Raises:
        SourceError: where a column that becomes a part of another is already there, or no column is left for values.
    """
    days = days_of(rows.column_names, said)
    if days:
        keys, values = [name for name in rows.column_names if name not in days], list(days)
        made = {"timestamp": list(days.values()), "value": values}
    else:
        named = [name for name in rows.column_names if said.meaning(name) == "time"]
        keys = named[:1] or rows.column_names[:1]
        values = [name for name in rows.column_names if name not in keys]
        made = {"series_id": values, "value": values}
    if not values or {"series_id", "value"} & set(rows.column_names) or set(made) & set(keys):
        raise SourceError(
            f"{where} is no wide table: it has the columns {rows.column_names[:_LISTED]}. Leave out --wide."
        )
    n = rows.num_rows
    long = {name if days else "timestamp": pa.chunked_array(rows[name].chunks * len(values)) for name in keys}
    for name, labels in made.items():
        if name != "value":
            long[name] = pa.chunked_array([pa.repeat(pa.scalar(label), n) for label in labels], pa.string())
    columns = [_numbers_or_text(rows[name], name, where) for name in values]
    if len({column.type for column in columns}) > 1:
        raise SourceError(f"{where} is no wide table: some of its columns hold text, others numbers. Leave out --wide.")
    long["value"] = pa.chunked_array([chunk for column in columns for chunk in column.chunks], columns[0].type)
    return pa.table({name: long[name] for name in sorted(long, key=_order)})


def _numbers_or_text(column: pa.ChunkedArray, name: str, where: str) -> pa.ChunkedArray:
    if pa.types.is_string(column.type):
        return column
    try:
        return column.cast(pa.float64())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise SourceError(
            f"The column {name!r} of {where} holds {column.type} that does not convert to numbers, so it is no series "
            "of a wide table. Leave it out of the file, or leave out --wide."
        ) from None


def _order(name: str) -> int:
    return {"timestamp": 1, "value": 2}.get(name, 0)


def check_long(rows: pa.Table, said: FileFormat, where: str) -> None:
    """Check that a file has a row for each series and time, as far as its columns show.

    A table is wide where two names are days; or where it has one column of times, each of them once, and besides only
    numbers, none of them called `value` and none the same whole number or text in all rows.

    Args:
        rows: Columns in types of their own.
        said: What the user says about the columns.
        where: The file, for an error.

    Raises:
        SourceError: where it seems to be a wide table.
    """
    series: list[str] = list(days_of(rows.column_names, said))
    if series:
        found = "names of its columns are days or months"
    else:
        times = [field.name for field in rows.schema if pa.types.is_temporal(field.type)]
        series = [name for name in rows.column_names if name not in times]
        numbers = all(_holds_numbers(rows[name], name) for name in series)
        if len(times) != 1 or len(series) < 2 or not numbers or {"series_id", "value"} & set(series):
            return
        # When the clocks go back, a local hour occurs twice.
        if rows.num_rows < 2 or pc.count_distinct(rows[times[0]]).as_py() < 0.95 * rows.num_rows:
            return
        if any(_is_constant(rows[name]) for name in series):
            return
        found = f"each {times[0]!r} occurs once, and the other columns hold numbers"
    listed = ", ".join(series[:_LISTED]) + (", ..." if len(series) > _LISTED else "")
    raise SourceError(
        f"{where} seems to be a wide table: {found} ({listed}). A history needs a row for each series and time. Say "
        "--wide to make one of each. If the columns are no series, such as ids, or weather for all series, say --long."
    )


def _is_constant(column: pa.ChunkedArray) -> bool:
    """Whether a column holds one text or whole number, as the id of a single series does."""
    one = not column.null_count and pc.count_distinct(column).as_py() == 1
    return one and not pa.types.is_floating(column.type)


def _holds_numbers(column: pa.ChunkedArray, name: str) -> bool:
    """Whether a column holds numbers, or text that is mostly numbers, such as numbers and NA, or nothing."""
    if pa.types.is_string(column.type):
        return column.null_count == len(column) or bool(text_note(column, name))
    return bool(pa.types.is_integer(column.type) or pa.types.is_floating(column.type))
