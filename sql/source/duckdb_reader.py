"""Reads rows of a DuckDB file, which it opens for reading only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from sql.engine.connection import check_file, describe, storage_error
from sql.engine.statement import quoted, text_literal
from sql.errors import SourceError
from sql.source.reader import BATCH_ROWS, Bounds, Reader, Wanted
from sql.source.resolve import bounded, capitalize, check_names, describe_relation, is_time, no_table, query_clause
from sql.source.settings import Source

DUCKDB_SETUP = (
    "run `pip install duckdb` (in a clone of the project: "
    "`.venv/bin/uv pip install --python .venv/bin/python --require-hashes -r requirements/duckdb.txt`)"
)
"""How to install DuckDB, as the end of a sentence."""

# DuckDB names, quotes and compares times as PostgreSQL does.
_DIALECT: sa.Dialect = postgresql.dialect()  # type: ignore[no-untyped-call]


@contextmanager
def open_duckdb(source: Source, url: sa.URL, base: Path | None, bounds: Bounds) -> Iterator[Reader]:
    """Open a table, view or query of a DuckDB file. DuckDB applies the bounds where the times are not text.

    Raises:
        SourceError: where DuckDB is not installed, a file, table or column is missing, or the query is not a SELECT.
        StorageError: where another process is writing to the file.
    """
    where = f"{describe_relation(source)} in {describe(url)}"
    with connected_duckdb(url) as connection:
        import duckdb

        connection.execute(f"SET TimeZone = {text_literal(bounds.zone.key)}")
        origin = _origin(connection, source, base, where, bounds)
        try:
            found = connection.sql(f"SELECT * {origin} LIMIT 0")
        except duckdb.Error as error:
            raise SourceError(f"{capitalize(where)} cannot be run: {_reason(error)}. Correct the query.") from error
        check_names(source, found.columns, where)
        yield _reader(connection, source, found.to_arrow_table().schema, origin, where, bounds)


@contextmanager
def connected_duckdb(url: sa.URL) -> Iterator[Any]:
    """A connection to a DuckDB file that cannot write.

    Raises:
        SourceError: where DuckDB is not installed, or the file is missing.
        StorageError: where the block fails to read, such as where another process is writing to the file.
    """
    try:
        import duckdb
    except ImportError:
        raise SourceError(f"DuckDB is not installed, and {describe(url)} needs it: {DUCKDB_SETUP}.") from None
    check_file(url, "DuckDB")
    try:
        with closing(duckdb.connect(str(url.database), read_only=True)) as connection:
            yield connection
    except (duckdb.Error, pa.ArrowException, OSError) as error:
        raise storage_error(url, "read from", error) from error


def _origin(connection: Any, source: Source, base: Path | None, where: str, bounds: Bounds) -> str:
    if source.query is not None:
        return query_clause(source, base, bounds, _DIALECT, where)
    return duckdb_table(connection, source.table or "", where)


def duckdb_table(connection: Any, name: str, where: str) -> str:
    """The FROM clause of a table or view.

    Raises:
        SourceError: where it does not exist; names those that do.
    """
    tables = "SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = current_database()"
    views = "SELECT schema_name, view_name FROM duckdb_views() WHERE NOT internal"
    existing = set(connection.sql(f"{tables} UNION {views}").fetchall())
    for schema, table in (("main", name), tuple(name.partition(".")[::2])):
        if (schema, table) in existing:
            return f"FROM {quoted(schema, _DIALECT)}.{quoted(table, _DIALECT)}"
    raise no_table(name, [table if schema == "main" else f"{schema}.{table}" for schema, table in existing], where)


def _reader(connection: Any, source: Source, kinds: pa.Schema, origin: str, where: str, bounds: Bounds) -> Reader:
    recorded = kinds.field(source.recorded_at).type if source.recorded_at else None
    tail, newest_only = bounded(source, origin, bounds, kinds.field(source.timestamp).type, recorded, _DIALECT)

    def batches(wanted: Sequence[Wanted]) -> Iterator[pa.RecordBatch]:
        columns = (_column(each, kinds.field(each.name).type) for each in wanted)
        yield from connection.sql(f"SELECT {', '.join(columns)} {tail}").to_arrow_reader(BATCH_ROWS)

    return Reader(where, batches, newest_only)


def _column(wanted: Wanted, kind: pa.DataType) -> str:
    expression = quoted(wanted.name, _DIALECT)
    is_number = pa.types.is_decimal(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind)
    if wanted.kind == "text" or (wanted.kind == "timestamp" and not is_time(kind) and not is_number):
        expression = f"CAST({expression} AS VARCHAR)"
    elif wanted.kind == "number" and is_number:
        expression = f"CAST({expression} AS DOUBLE)"
    return f"{expression} AS {quoted(wanted.output, _DIALECT)}"


def _reason(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(". ")
