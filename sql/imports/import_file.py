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
from sql.imports.rows_file import read_rows
from sql.source import columns

_BATCH_ROWS = 10_000
_STAGING_TABLE = "nightcast_import"

Mode = Literal["create", "append", "replace"]
"""Make a new table, add rows to one, or replace the rows of one."""


@dataclass(frozen=True)
class Imported:
    """What was loaded: the number of rows, and the columns in the order of the file."""

    rows: int
    columns: list[str]


def import_file(path: Path, url: sa.URL, table: str, mode: Mode = "create") -> Imported:
    """Load all rows of a file, in one transaction.

    A column `series_id` becomes text (00123 stays 00123), `timestamp` a time, and `value` a number. A time with an
    offset from UTC keeps it: as timestamptz on PostgreSQL, as text in ISO 8601 elsewhere. A time without an offset
    stays local. A SQLite database is left as a single file that can be read where nothing can be written.

    Args:
        path: `.csv` with a header, in which empty, NA and NaN are NULL; or `.parquet`.
        url: From `resolve_url`.
        table: Name of the table; may be `schema.name` on PostgreSQL.
        mode: `create` a new table, `append` to an existing one, or `replace` it.

    Raises:
        SourceError: where the file cannot be read or has no rows, a column holds the wrong kind of values, the table
            already exists (create), or it is missing or has other columns (append).
        StorageError: where the database refuses; it is unchanged then.
    """
    rows = _typed(read_rows(path), str(path))
    try:
        return _load(rows, url, table, mode)
    finally:
        if url.get_backend_name() == "sqlite":
            _leave_one_file(str(url.database))


def _load(rows: pa.Table, url: sa.URL, table: str, mode: Mode) -> Imported:
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
    return Imported(rows.num_rows, rows.column_names)


def _leave_one_file(path: str) -> None:
    """Take a SQLite file out of WAL mode, whose two files beside it a reader must be able to write.

    A file that another process has open stays as it is.
    """
    with suppress(sqlite3.Error), closing(sqlite3.connect(path, timeout=1)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")


def _typed(rows: pa.Table, where: str) -> pa.Table:
    """The rows as text, int64, float64, bool, date or timestamp[us]."""
    typed = {}
    for name in rows.column_names:
        column, kind = rows[name], rows[name].type
        if pa.types.is_dictionary(kind):
            column, kind = column.cast(kind.value_type), kind.value_type
        if name == "timestamp" and not pa.types.is_date(kind):
            column = columns.instants(_plain_text(column), name, where)
        elif name == "value":
            column = columns.numbers(_plain_text(column), name, where)
        elif name == "series_id":
            column = column.cast(pa.string())
        elif pa.types.is_timestamp(kind):
            column = column.cast(pa.timestamp("us", "UTC" if kind.tz else None), safe=False)
        elif pa.types.is_date(kind):
            column = column.cast(pa.date32())
        elif pa.types.is_integer(kind):
            column = column.cast(pa.int64())
        elif pa.types.is_floating(kind) or pa.types.is_decimal(kind):
            column = column.cast(pa.float64(), safe=False)
        elif not pa.types.is_boolean(kind):
            column = _text(column, name, where)
        typed[name] = column
    return pa.table(typed)


def _plain_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    text = pa.types.is_large_string(column.type) or pa.types.is_string_view(column.type)
    return column.cast(pa.string()) if text else column


def _text(column: pa.ChunkedArray, name: str, where: str) -> pa.ChunkedArray:
    try:
        return column.cast(pa.string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise SourceError(
            f"The column {name!r} of {where} holds {column.type}, which a table cannot hold. Remove the column."
        ) from None


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
