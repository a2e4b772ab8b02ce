"""Loads a CSV or Parquet file with columns such as series_id, timestamp and value into a table."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from sql.engine.connection import adbc_connection, connect, describe, storage_errors, transaction
from sql.engine.statement import quoted
from sql.errors import SourceError
from sql.imports.arrow_kinds import typed_arrow
from sql.imports.column_kinds import Typed, typed_text
from sql.imports.file_format import FileFormat
from sql.imports.rows_file import is_csv, read_rows

_BATCH_ROWS = 10_000
_STAGING_TABLE = "nightcast_import"

Mode = Literal["create", "append", "replace"]
"""Make a new table, add rows to one, or replace the rows of one."""


@dataclass(frozen=True)
class Imported:
    """What was loaded.

    Attributes:
        rows: Their number.
        columns: The columns in the order of the file, each with its kind: text, number, time, day or boolean.
        notes: What a person should know about how the file was read, in sentences.
    """

    rows: int
    columns: dict[str, str]
    notes: list[str]


def import_file(path: Path, url: sa.URL, table: str, mode: Mode = "create", said: FileFormat | None = None) -> Imported:
    """Load all rows of a file, in one transaction.

    A column `series_id` becomes text (00123 stays 00123), `timestamp` a time, and `value` a number, unless `said` says
    otherwise. What another column of a CSV file holds, `typed_text` decides. A time with an offset from UTC keeps it:
    as timestamptz on PostgreSQL, as text in ISO 8601 elsewhere. A time without an offset stays local.

    A SQLite database is left as a single file that can be read where nothing can be written.

    Args:
        path: `.csv` with a header, in which an empty field is NULL; or `.parquet`.
        url: From `resolve_url`.
        table: Name of the table; may be `schema.name` on PostgreSQL.
        mode: `create` a new table, `append` to an existing one, or `replace` it.
        said: What the user says about the file.

    Raises:
        SourceError: where the file cannot be read or has no rows, a column holds the wrong kind of values, the table
            already exists (create), or it is missing or has other columns (append).
        StorageError: where the database refuses; it is unchanged then.
    """
    said, rows = said or FileFormat(), read_rows(path)
    said.check(rows.column_names, str(path))
    where = str(path)
    typed = typed_text(rows, said, where) if is_csv(path) else Typed(typed_arrow(rows, said, where), [])
    try:
        _load(typed.rows, url, table, mode)
    finally:
        if url.get_backend_name() == "sqlite":
            _leave_one_file(str(url.database))
    kinds = {field.name: _kind(field.type) for field in typed.rows.schema}
    return Imported(rows.num_rows, kinds, typed.notes)


def _kind(kind: pa.DataType) -> str:
    if pa.types.is_string(kind):
        return "text"
    if pa.types.is_boolean(kind):
        return "boolean"
    return "time" if pa.types.is_timestamp(kind) else "day" if pa.types.is_date(kind) else "number"


def _load(rows: pa.Table, url: sa.URL, table: str, mode: Mode) -> None:
    engine = connect(url)
    with storage_errors(url, "write to"):
        inspector = sa.inspect(engine)
        schema, name = _schema_and_name(inspector, table, engine.dialect.name)
        exists = inspector.has_table(name, schema)
        if exists and mode == "create":
            raise SourceError(
                f"There is already a table {table!r} in {describe(url)}. "
                "Append to it or replace it (--mode append, --mode replace), or name another table."
            )
        if mode == "append":
            where = f"table {table!r} in {describe(url)}"
            if not exists:
                raise SourceError(f"There is no {where} to append to. Create it with --mode create.")
            _check_columns(rows, inspector.get_columns(name, schema), where)
    if engine.dialect.name != "postgresql":
        rows = _with_offsets(rows)
    full_name = ".".join(quoted(part, engine.dialect) for part in (schema, name) if part)
    statements = [f"DROP TABLE {full_name}"] if exists and mode == "replace" else []
    statements += [] if mode == "append" else [f"CREATE TABLE {full_name} ({_definitions(rows, engine)})"]
    _write(engine, statements, rows, schema, name)


def _leave_one_file(path: str) -> None:
    """Take a SQLite file out of WAL mode, whose two files beside it a reader must be able to write.

    A file that another process has open stays as it is.
    """
    with suppress(sqlite3.Error), closing(sqlite3.connect(path, timeout=1)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")


def _schema_and_name(inspector: sa.Inspector, table: str, dialect_name: str) -> tuple[str | None, str]:
    schema, dot, name = table.partition(".")
    if dot and dialect_name != "sqlite" and schema in inspector.get_schema_names():
        return schema, name
    return None, table


def _check_columns(rows: pa.Table, existing: Sequence[Any], where: str) -> None:
    present = {column["name"]: column["type"] for column in existing}
    unknown = [column for column in rows.column_names if column not in present]
    if unknown:
        raise SourceError(
            f"The {where} lacks the columns {unknown}. It has {sorted(present)}. "
            "Rename the columns of the file, or replace the table."
        )
    for field in rows.schema:
        column_type = present[field.name]
        if isinstance(column_type, sa.DateTime) and pa.types.is_timestamp(field.type):
            aware = field.type.tz is not None
            if column_type.timezone != aware and isinstance(column_type, postgresql.TIMESTAMP):
                raise SourceError(
                    f"The file's times in {field.name!r} have {'an' if aware else 'no'} offset from UTC, but those of "
                    f"the {where} have {'none' if aware else 'one'}. Write the file's times in the same way."
                )


def _definitions(rows: pa.Table, engine: sa.Engine) -> str:
    return ", ".join(
        f"{quoted(field.name, engine.dialect)} {_sql_type(field.type).compile(engine.dialect)}" for field in rows.schema
    )


def _sql_type(kind: pa.DataType) -> sa.types.TypeEngine[Any]:
    if pa.types.is_timestamp(kind):
        return sa.DateTime(timezone=kind.tz is not None)
    for is_kind, sql_type in (
        (pa.types.is_date, sa.Date()),
        (pa.types.is_integer, sa.BigInteger()),
        (pa.types.is_floating, sa.Double()),
        (pa.types.is_boolean, sa.Boolean()),
    ):
        if is_kind(kind):
            return sql_type
    return sa.Text()


def _write(engine: sa.Engine, statements: list[str], rows: pa.Table, schema: str | None, name: str) -> None:
    with storage_errors(engine.url, "write to"):
        connection = adbc_connection(engine.url)
        if connection is not None:
            with closing(connection), connection.cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement)
                if engine.dialect.name == "sqlite":
                    cursor.adbc_ingest(name, _as_iso_text(rows), mode="append")
                else:
                    # The server converts the types of the file to those of the table, from a staging table.
                    cursor.adbc_ingest(_STAGING_TABLE, rows, mode="create", temporary=True)
                    names = ", ".join(quoted(column, engine.dialect) for column in rows.column_names)
                    target = ".".join(quoted(part, engine.dialect) for part in (schema, name) if part)
                    cursor.execute(f"INSERT INTO {target} ({names}) SELECT {names} FROM pg_temp.{_STAGING_TABLE}")
                connection.commit()
            return
    with transaction(engine) as plain:
        for statement in statements:
            plain.exec_driver_sql(statement)
        target_table = sa.table(
            name, *(sa.column(field.name, _sql_type(field.type)) for field in rows.schema), schema=schema
        )
        for batch in rows.to_batches(max_chunksize=_BATCH_ROWS):
            plain.execute(target_table.insert(), batch.to_pylist())


def _with_offsets(rows: pa.Table) -> pa.Table:
    """Times with a zone as text in UTC, for databases whose timestamps have no zone."""
    for i, field in enumerate(rows.schema):
        if pa.types.is_timestamp(field.type) and field.type.tz:
            clock = rows[field.name].cast(pa.timestamp("us")).cast(pa.string())
            rows = rows.set_column(i, field.name, pc.binary_join_element_wise(clock, "+00:00", ""))
    return rows


def _as_iso_text(rows: pa.Table) -> pa.Table:
    for i, field in enumerate(rows.schema):
        if pa.types.is_timestamp(field.type) or pa.types.is_date(field.type):
            rows = rows.set_column(i, field.name, rows[field.name].cast(pa.string()))
    return rows
