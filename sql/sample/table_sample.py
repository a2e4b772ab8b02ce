"""Samples a table of a database by queries that are bounded, whatever its size; nothing counts its rows."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy import exc
from sqlalchemy.dialects import postgresql

from sql.engine.connection import connect_source, describe, ping, storage_errors
from sql.engine.statement import quoted, text_literal
from sql.errors import SourceError
from sql.imports.arrow_kinds import typed_arrow
from sql.imports.column_kinds import typed_text
from sql.imports.file_format import FileFormat
from sql.sample.file_sample import sample_parquet
from sql.sample.sample import PIECES, Sample, most_rows, readable, starts
from sql.source.duckdb_reader import connected_duckdb, duckdb_table
from sql.source.parquet_reader import place_of
from sql.source.resolve import table_clause

# Later pieces are worth no longer wait: an old server reads the table up to them.
_MOST_SECONDS = 10
_PAGE = 8_192
_SMALLEST_ROW = 64


def sample_table(url: sa.URL, table: str) -> Sample:
    """Some rows of a table or view: of SQLite and PostgreSQL from five places, of others the first.

    Args:
        url: From `resolve_url`.
        table: Its name; may be `schema.name`.

    Raises:
        SourceError: where there is no such table or it has no rows.
        StorageError: where the database does not answer.
    """
    where = f"table {table!r} in {describe(url)}"
    if url.get_backend_name() == "parquet":
        return sample_parquet(place_of(Path(str(url.database)), table, where), where)
    if url.get_backend_name() == "duckdb":
        return _sample_duckdb(url, table, where)
    engine = connect_source(url)
    ping(engine)
    origin = table_clause(engine, table, where)
    with storage_errors(url, f"read {table!r} from"), engine.connect() as connection:
        names = _names(connection, origin)
        most = most_rows(len(names))
        found = _rows(connection, _limited(engine.dialect, origin, most))
        whole, only_first = len(found) < most, True
        if not whole:
            with suppress(exc.DBAPIError):
                pieces = _pieces(connection, origin, most // PIECES)
                found, only_first = (found[: most // PIECES] + pieces, False) if pieces else (found, True)
    if not found:
        raise _no_rows(where)
    rows, left_out = _typed(names, found, where)
    return Sample(rows, where, whole, only_first and not whole, left_out)


def _no_rows(where: str) -> SourceError:
    return SourceError(f"The {where} has no rows. Load the history into it first.")


def _names(connection: sa.Connection, origin: str) -> list[str]:
    options = {"no_parameters": True}
    return list(connection.execution_options(**options).exec_driver_sql(f"SELECT * {origin} WHERE 1 = 0").keys())


def _rows(connection: sa.Connection, statement: str) -> list[Any]:
    return list(connection.execution_options(no_parameters=True).exec_driver_sql(statement).fetchall())


def _limited(dialect: sa.Dialect, origin: str, most: int) -> str:
    if dialect.name == "mssql":
        return f"SELECT TOP {most} * {origin}"
    if dialect.name == "oracle":
        return f"SELECT * {origin} FETCH FIRST {most} ROWS ONLY"
    return f"SELECT * {origin} LIMIT {most}"


def _pieces(connection: sa.Connection, origin: str, length: int) -> list[Any]:
    """The pieces of a table after its first, found by where rows lie; none where that is not known."""
    if connection.dialect.name == "sqlite":
        [[newest]] = _rows(connection, f"SELECT max(rowid) {origin}")
        if not isinstance(newest, int):
            return []
        places = [f"rowid > {start}" for start in starts(newest, length)]
    elif connection.dialect.name == "postgresql":
        name = origin.removeprefix("FROM ")
        connection.exec_driver_sql(f"SET LOCAL statement_timeout = '{_MOST_SECONDS}s'")
        sizes = "SELECT pg_relation_size(oid), reltuples FROM pg_class WHERE oid = to_regclass(:name)"
        size, rows = connection.execute(sa.text(sizes), {"name": name}).one()
        # Before the first ANALYZE the number of rows is not known.
        per_block = max(rows / max(size // _PAGE, 1), 1) if rows > 0 else _PAGE // _SMALLEST_ROW
        blocks = int(length // per_block) + 1
        if size // _PAGE <= blocks:
            return []
        places = [f"ctid >= '({start},0)'::tid" for start in starts(size // _PAGE, blocks)]
    else:
        return []
    found = list[Any]()
    for place in places[1:]:
        found += _rows(connection, f"SELECT * {origin} WHERE {place} LIMIT {length}")
    return found


def _sample_duckdb(url: sa.URL, table: str, where: str) -> Sample:
    with connected_duckdb(url) as connection:
        origin = duckdb_table(connection, table, where)
        most = most_rows(len(connection.sql(f"SELECT * {origin} LIMIT 0").columns))
        found = connection.sql(f"SELECT * {origin} LIMIT {most}").to_arrow_table()
    if not found.num_rows:
        raise _no_rows(where)
    rows, left_out = readable(found)
    whole = rows.num_rows < most
    return Sample(typed_arrow(rows, FileFormat(), where), where, whole, not whole, left_out)


def _typed(names: Sequence[str], rows: list[Any], where: str) -> tuple[pa.Table, dict[str, str]]:
    """The rows of a driver as columns, and those of kinds that a job does not read."""
    typed, left_out = dict[str, pa.ChunkedArray](), dict[str, str]()
    for name, values in zip(names, zip(*rows, strict=True), strict=True):
        column = _column(values, where)
        if column is None:
            left_out[name] = type(next(value for value in values if value is not None)).__name__
        else:
            typed[name] = column
    return pa.table(typed), left_out


def _column(values: Sequence[Any], where: str) -> pa.ChunkedArray | None:
    kinds = {type(value) for value in values if value is not None}
    if kinds == {bool}:
        return pa.chunked_array([pa.array(values, pa.bool_())])
    if kinds and kinds <= {int, float, Decimal, bool}:
        whole = kinds <= {int, bool} and all(value is None or abs(value) < 1 << 63 for value in values)
        convert = int if whole else float
        numbers = [None if value is None else convert(value) for value in values]
        return pa.chunked_array([pa.array(numbers, pa.int64() if whole else pa.float64())])
    if kinds == {datetime}:
        zones = {value.tzinfo is not None for value in values if value is not None}
        if len(zones) == 1:
            return pa.chunked_array([pa.array(values, pa.timestamp("us", "UTC" if zones.pop() else None))])
    if kinds == {date}:
        return pa.chunked_array([pa.array(values, pa.date32())])
    if kinds & {bytes, memoryview, list, dict, tuple}:
        return None
    texts = [None if value is None else str(value).encode(errors="replace").decode() for value in values]
    column = pa.chunked_array([pa.array(texts, pa.string())])
    # SQLite keeps times as text. Under a name that says nothing, the column becomes what all of its fields are.
    guess = typed_text(pa.table({"": column}), FileFormat(), where).rows.column(0)
    return guess if pa.types.is_temporal(guess.type) else column


def query_with_id(url: sa.URL, table: str, series_id: str, columns: Sequence[str]) -> str:
    r"""A query for a table of a single series without an id, which gives it one in the column `series_id`.

    >>> query_with_id(sa.make_url("sqlite:///a.db"), "counts", "visits", ["month", "n"])
    'SELECT \'visits\' AS series_id, "month", "n" FROM "counts"'
    """
    backend = url.get_backend_name()
    dialect: sa.Dialect = postgresql.dialect() if backend == "duckdb" else url.get_dialect()()  # type: ignore[no-untyped-call]
    parts = [table] if backend == "sqlite" else table.split(".", 1)
    name, *names = (".".join(quoted(part, dialect) for part in parts), *(quoted(each, dialect) for each in columns))
    return f"SELECT {text_literal(series_id)} AS series_id, {', '.join(names)} FROM {name}"
