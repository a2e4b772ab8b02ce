"""Loads a CSV or Parquet file with columns such as series_id, timestamp and value into a table."""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import sqlalchemy as sa

from sql.errors import SourceError
from sql.imports.file_format import FileFormat
from sql.imports.fitting import fitted
from sql.imports.read_file import read_file, typed
from sql.imports.table import Table, check_columns, check_dependents, check_offsets, find_table, write_rows
from sql.imports.wide_table import check_long

Mode = Literal["create", "append", "replace"]
"""Make a new table, add rows to one, or replace the rows of one."""


@dataclass(frozen=True)
class Imported:
    """What was loaded.

    Attributes:
        rows: Their number.
        columns: The columns in the order of the file, each with its kind: text, number, time, day or boolean.
        notes: What a person should know about how the file was read, in sentences.
        written: How a CSV file was taken to be written: `encoding`, `delimiter`, `decimal` and `date_format`, the
            latter for each column of times that is not in ISO 8601.
    """

    rows: int
    columns: dict[str, str]
    notes: list[str]
    written: dict[str, Any]


def import_file(path: Path, url: sa.URL, table: str, mode: Mode = "create", said: FileFormat | None = None) -> Imported:
    """Load all rows of a file, in one transaction.

    In a new table a column `series_id` becomes text (00123 stays 00123), `timestamp` a time, and `value` a number,
    unless `said` says otherwise. What another column of a CSV file holds, `typed_text` decides. A table that exists
    keeps its types, indexes and rights, and `fitted` reads the file in its types.

    A time with an offset from UTC keeps it: as timestamptz on PostgreSQL, as text in ISO 8601 elsewhere. A time without
    an offset stays local. A SQLite database is left as a single file that can be read where nothing can be written.

    Args:
        path: `.csv` with a header, in which an empty field is NULL; or `.parquet`.
        url: From `resolve_url`.
        table: Name of the table; may be `schema.name` on PostgreSQL.
        mode: `create` a new table, `append` to an existing one, or `replace` its rows, if there is one.
        said: What the user says about the file.

    Raises:
        SourceError: where the file cannot be read or has no rows, a column holds the wrong kind of values, the table
            already exists (create), is missing (append), has other columns, or would change a value.
        StorageError: where the database refuses; it is unchanged then.
    """
    said, where = said or FileFormat(), str(path)
    try:
        found = find_table(url, table) if mode != "create" and _is_there(url) else None
        if found is not None:
            _check_mode(found, mode)
        read = read_file(path, said, [] if found is None else found.text_columns)
        rows, notes = read.rows, read.notes
        if found is None or found.columns is None:
            # A file that is wrong in itself should not make a database.
            rows, notes = typed(read, where)
            if said.wide is None:
                check_long(rows, said, where)
        if found is None:
            found = find_table(url, table)
            _check_mode(found, mode)
        if found.columns is not None:
            rows, notes = _fitted(read.rows, read.said, found, mode), read.notes
        write_rows(rows, found, empty_first=mode == "replace")
    finally:
        if url.get_backend_name() == "sqlite" and _is_there(url):
            _leave_one_file(str(url.database))
    notes = [*notes, *(_without(rows, name) for name in ("series_id", "timestamp") if name in rows.column_names)]
    kinds = {field.name: _kind(field.type, found.types.get(field.name)) for field in rows.schema}
    return Imported(rows.num_rows, kinds, [note for note in notes if note], read.written)


def _is_there(url: sa.URL) -> bool:
    return url.get_backend_name() != "sqlite" or Path(str(url.database)).exists()


def _without(rows: pa.Table, name: str) -> str:
    n = rows[name].null_count
    return f"{n} of {rows.num_rows} rows have no {name!r}, which a job refuses." if n else ""


def _check_mode(table: Table, mode: Mode) -> None:
    if table.columns is not None and mode == "create":
        raise SourceError(
            f"There is already a {table.where}. "
            "Append to it or replace it (--mode append, --mode replace), or name another table."
        )
    if table.columns is None and mode == "append":
        raise SourceError(f"There is no {table.where} to append to. Create it with --mode create.")


def _fitted(rows: pa.Table, said: FileFormat, table: Table, mode: Mode) -> pa.Table:
    """The rows in the types of a table that exists."""
    check_columns(rows.column_names, table, all_of_them=mode == "replace")
    fit = fitted(rows, said, table.types, table.engine.dialect.name, table.where)
    # Replaced, a table of PostgreSQL keeps its types, and the server would convert the times of the file.
    if mode == "append" or table.engine.dialect.name == "postgresql":
        check_offsets(fit, table)
    if mode == "replace":
        check_dependents(table)
    return fit


def _kind(kind: pa.DataType, there: sa.types.TypeEngine[Any] | None) -> str:
    if pa.types.is_string(kind) and not isinstance(there, sa.Numeric):
        return "text"
    if pa.types.is_boolean(kind):
        return "boolean"
    return "time" if pa.types.is_timestamp(kind) else "day" if pa.types.is_date(kind) else "number"


def _leave_one_file(path: str) -> None:
    """Take a SQLite file out of WAL mode, whose two files beside it a reader must be able to write.

    A file that another process has open stays as it is.
    """
    if not Path(path).exists():
        # A refused file makes no database.
        return
    with suppress(sqlite3.Error), closing(sqlite3.connect(path, timeout=1)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
