"""Reads a file in its plain form: one row for each series and time, numbers as 1.5, times in ISO 8601."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from sql.errors import SourceError
from sql.imports.arrow_kinds import typed_arrow
from sql.imports.column_kinds import Typed, text_note, typed_text
from sql.imports.dates import days_of, with_iso_times
from sql.imports.decimals import guess_decimal, with_points
from sql.imports.file_format import FileFormat
from sql.imports.rows_file import is_csv, read_rows
from sql.imports.wide_table import as_long

MOST_COLUMNS = 1_600
"""Of a table, on PostgreSQL; SQLite takes some more."""


class FileRead(NamedTuple):
    """The rows of a file.

    Attributes:
        rows: Of CSV, columns of strings; of Parquet, from `typed_arrow`.
        said: What is known about the columns.
        notes: What a person should know about how the file was read.
        written: How a CSV file was taken to be written: encoding, delimiter, decimal, date_format for each column.
    """

    rows: pa.Table
    said: FileFormat
    notes: list[str]
    written: dict[str, Any]


def read_file(path: Path, said: FileFormat, text: Collection[str] = ()) -> FileRead:
    """The rows of a file as the user says and as the file shows.

    Args:
        path: A `.csv` or `.parquet` file.
        said: What the user says about the file.
        text: Columns that are text, unless `said` says otherwise.

    Raises:
        SourceError: where the file cannot be read, leaves a doubt, is not as the user says, or has more columns than a
            table can.
    """
    file, where = read_rows(path, said), str(path)
    said.check(file.rows.column_names, where)
    rows, notes = file.rows, list(file.notes)
    if said.wide:
        rows = as_long(rows, said, where)
        if days_of(file.rows.column_names, said):
            said = replace(said, date_format=None)
        # The columns that the user named may have become rows.
        said = replace(said, text=_left(said.text, rows), numbers=_left(said.numbers, rows), times=())
        notes.append("The wide table has a row for each series and time now.")
    if rows.num_columns > MOST_COLUMNS:
        raise SourceError(
            f"{where} would become a table of {rows.num_columns:,} columns, and databases take at most "
            f"{MOST_COLUMNS:,}. Say --wide if each column is a series or a day; otherwise leave columns out."
        )
    said = replace(said, text=(*said.text, *(name for name in text if said.meaning(name) is None)))
    if not is_csv(path):
        return FileRead(typed_arrow(rows, said, where), said, notes, {})
    decimal = guess_decimal(rows, said, file.delimiter, where)
    rows, codes = with_points(rows, said, decimal, file.delimiter, where)
    rows, formats = with_iso_times(rows, said, where)
    codes = [name for name in codes if name not in formats]
    said = replace(said, text=(*said.text, *codes))
    notes += [note for name in codes for note in text_note(rows[name], name)]
    if decimal == "," and not said.decimal:
        notes.append("Numbers have a decimal comma.")
    if not said.date_format:
        notes += [f"The days of {name!r} are read as {found}." for name, found in formats.items()]
    written = {"encoding": file.encoding, "delimiter": file.delimiter, "decimal": decimal, "date_format": formats}
    return FileRead(rows, said, notes, written)


def _left(names: tuple[str, ...], rows: pa.Table) -> tuple[str, ...]:
    return tuple(name for name in names if name in rows.column_names)


def typed(read: FileRead, where: str) -> Typed:
    """The rows of a file in types of their own, for a table that does not exist yet, and all notes.

    Raises:
        SourceError: where a column does not hold what its name or the user says.
    """
    if not read.written:
        return Typed(read.rows, read.notes)
    rows, notes = typed_text(read.rows, read.said, where)
    return Typed(rows, [*read.notes, *notes])
