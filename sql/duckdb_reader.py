"""Rows of a DuckDB file, in DuckDB's own Arrow batches; the file is opened for reading only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from sql.connection import check_file, describe, storage_error
from sql.database_reader import is_time
from sql.errors import SourceError
from sql.origin import check_names, no_table, query_of, sentence, what
from sql.reader import BATCH_ROWS, Bounds, Reader, Wanted
from sql.source import Source
from sql.statement import as_of, quoted, text_literal, with_bounds, within

DUCKDB_SETUP = ".venv/bin/uv pip install --python .venv/bin/python --require-hashes -r requirements/duckdb.txt"
"""Installs DuckDB, in the project's folder."""

# DuckDB names, quotes and compares times as PostgreSQL does.
_DIALECT: sa.Dialect = postgresql.dialect()  # type: ignore[no-untyped-call]


@contextmanager
def open_duckdb(source: Source, url: sa.URL, base: Path | None, bounds: Bounds) -> Iterator[Reader]:
    """Open a table, a view or a query of a DuckDB file; the bounds are DuckDB's work where its times are no text.

    Raises:
        SourceError: where DuckDB is not installed, a file, table or column is missing, or the query is no SELECT.
        StorageError: where another process is writing to the file.
    """
    try:
        import duckdb
    except ImportError:
        raise SourceError(f"DuckDB is not installed, and {describe(url)} needs it: {DUCKDB_SETUP}.") from None
    check_file(url, "DuckDB")
    where = f"{what(source)} in {describe(url)}"
    try:
        with closing(duckdb.connect(str(url.database), read_only=True)) as connection:
            connection.execute(f"SET TimeZone = {text_literal(bounds.zone.key)}")
            origin = _origin(connection, source, base, where, bounds)
            try:
                found = connection.sql(f"SELECT * {origin} LIMIT 0")
            except duckdb.Error as error:
                raise SourceError(f"{sentence(where)} cannot be run: {_reason(error)}. Correct the query.") from error
            check_names(source, found.columns, where)
            yield _reader(connection, source, found.to_arrow_table().schema, origin, where, bounds)
    except (duckdb.Error, pa.ArrowException, OSError) as error:
        raise storage_error(url, "read from", error) from error


def _origin(connection: Any, source: Source, base: Path | None, where: str, bounds: Bounds) -> str:
    if source.query is not None:
        query = query_of(source.query, base, sentence(where))
        bounded = with_bounds(query, bounds.since, bounds.until, bounds.zone, _DIALECT, sentence(where))
        return f"FROM ({bounded}\n) source_rows"
    name = source.table or ""
    tables = "SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = current_database()"
    views = "SELECT schema_name, view_name FROM duckdb_views() WHERE NOT internal"
    there = set(connection.sql(f"{tables} UNION {views}").fetchall())
    for schema, table in (("main", name), tuple(name.partition(".")[::2])):
        if (schema, table) in there:
            return f"FROM {quoted(schema, _DIALECT)}.{quoted(table, _DIALECT)}"
    raise no_table(name, [table if schema == "main" else f"{schema}.{table}" for schema, table in there], where)


def _reader(connection: Any, source: Source, kinds: pa.Schema, origin: str, where: str, bounds: Bounds) -> Reader:
    since, until = (None, None) if source.query is not None else (bounds.since, bounds.until)
    tail, newest_only = origin, False
    if is_time(kinds.field(source.timestamp).type):
        tail += within(quoted(source.timestamp, _DIALECT), since, until)
    if source.recorded_at and bounds.known_at and is_time(kinds.field(source.recorded_at).type):
        key = [*source.series_id, source.timestamp]
        tail, newest_only = as_of(tail, key, source.recorded_at, bounds.known_at, _DIALECT), True

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
