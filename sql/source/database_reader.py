"""Reads rows of a database: over ADBC from PostgreSQL and SQLite, through SQLAlchemy from others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path

import adbc_driver_manager.dbapi
import pyarrow as pa
import sqlalchemy as sa

from sql.engine.bulk import Column, stream
from sql.engine.connection import adbc_source_connection, connect_source, describe, ping, storage_errors
from sql.engine.postgresql import set_time_zone
from sql.engine.statement import quoted, text_since
from sql.source.reader import BATCH_ROWS, Bounds, Reader, Wanted, wanted_columns
from sql.source.resolve import bounded, check_columns, describe_relation, is_time, query_clause, table_clause
from sql.source.settings import Source

_POSTGRESQL_NUMBER_AS_TEXT = (b"numeric", b"money")


@contextmanager
def open_database(
    source: Source, url: sa.URL, base: Path | None, bounds: Bounds, numbers_as_text: bool
) -> Iterator[Reader]:
    """Open a table or a query.

    The database applies the bounds to a query that names them, and to a table of PostgreSQL whose times are not text.
    For a table of SQLite it applies only `since`.

    Args:
        source: What to read.
        url: From `resolve_url`.
        base: The folder that the path of a query's file starts from.
        bounds: The rows to read; the database excludes others where it can.
        numbers_as_text: On SQLite, read numbers as text, with all digits.

    Raises:
        SourceError: where a table, column or file is missing, or the query is not a single SELECT.
        StorageError: where the database does not answer.
    """
    engine = connect_source(url).execution_options(time_zone=bounds.zone.key)
    where = f"{describe_relation(source)} in {describe(url)}"
    ping(engine)
    origin = _origin(engine, source, base, where, bounds)
    check_columns(engine, source, origin, where)
    with storage_errors(url, "read from"), _connected(url) as connection:
        if connection is None or engine.dialect.name != "postgresql":
            tail, parameters = origin, list[str]()
            if engine.dialect.name == "sqlite" and source.query is None and bounds.since is not None:
                clause, parameters = text_since(quoted(source.timestamp, engine.dialect), bounds.since)
                tail += clause

            def batches(wanted: Sequence[Wanted]) -> Iterator[pa.RecordBatch]:
                columns = [_column(each, engine.dialect) for each in wanted]
                # Without ADBC, SQLAlchemy gives each value in its own type anyway.
                if numbers_as_text and connection is not None:
                    columns = [_as_text(column) for column in columns]
                return stream(connection, engine, columns, tail, BATCH_ROWS, parameters)

            yield Reader(where, batches)
        else:
            yield _postgresql(connection, engine, source, origin, where, bounds)


def _postgresql(
    connection: adbc_driver_manager.dbapi.Connection,
    engine: sa.Engine,
    source: Source,
    origin: str,
    where: str,
    bounds: Bounds,
) -> Reader:
    with connection.cursor() as cursor:
        cursor.execute(set_time_zone(bounds.zone.key))
    every = [_column(each, engine.dialect) for each in wanted_columns(source)]
    [nothing] = stream(connection, engine, every, f"{origin} WHERE false")
    kinds: pa.Schema = nothing.schema
    recorded = kinds.field("recorded_at").type if source.recorded_at else None
    tail, newest_only = bounded(source, origin, bounds, kinds.field("timestamp").type, recorded, engine.dialect)

    def batches(wanted: Sequence[Wanted]) -> Iterator[pa.RecordBatch]:
        columns = [_column(each, engine.dialect) for each in wanted]
        columns = [_as_double(column, kinds.field(column.name)) for column in columns]
        columns = [_as_known_late(column, kinds.field(column.name)) for column in columns]
        return stream(connection, engine, columns, tail)

    return Reader(where, batches, newest_only)


def _origin(engine: sa.Engine, source: Source, base: Path | None, where: str, bounds: Bounds) -> str:
    """The FROM clause of the table, or of the query with its bounds filled in."""
    if source.query is None:
        return table_clause(engine, source.table or "", where)
    return query_clause(source, base, bounds, engine.dialect, where)


def _connected(url: sa.URL) -> closing[adbc_driver_manager.dbapi.Connection] | nullcontext[None]:
    connection = adbc_source_connection(url)
    return nullcontext() if connection is None else closing(connection)


def _column(wanted: Wanted, dialect: sa.Dialect) -> Column:
    expression = quoted(wanted.name, dialect)
    if (wanted.kind == "text" and dialect.name in ("sqlite", "postgresql")) or (
        wanted.kind == "timestamp" and dialect.name == "sqlite"
    ):
        expression = f"CAST({expression} AS TEXT)"
    return Column(expression, wanted.output, wanted.kind)


def _as_double(column: Column, field: pa.Field) -> Column:
    """The server converts exact decimals to doubles, since ADBC would give them as text."""
    postgresql_type = (field.metadata or {}).get(b"POSTGRESQL:type")
    if column.kind == "number" and postgresql_type in _POSTGRESQL_NUMBER_AS_TEXT:
        x = f"CAST({column.expression} AS numeric)"
        # The server raises an error for decimals that no double can hold, so they become 0 or infinity first.
        return column._replace(
            expression=f"CASE WHEN abs({x}) BETWEEN 1e-300 AND 1e308 THEN CAST({x} AS double precision) "
            f"WHEN {x} = 'NaN' THEN 'NaN' WHEN abs({x}) < 1 THEN 0 "
            f"WHEN {x} > 0 THEN 'Infinity' WHEN {x} < 0 THEN '-Infinity' END"
        )
    return column


def _as_known_late(column: Column, field: pa.Field) -> Column:
    """ADBC gives a time of recording that is infinite as one of the distant past, when it would count as known."""
    if column.name != "recorded_at" or not is_time(field.type):
        return column
    x = column.expression
    return column._replace(expression=f"CASE WHEN {x} >= '9999-01-01' THEN '9999-01-01' ELSE {x} END")


def _as_text(column: Column) -> Column:
    """Read a number of SQLite as text, with all digits."""
    if column.kind != "number":
        return column
    x = column.expression
    return column._replace(
        expression=f"CASE typeof({x}) WHEN 'real' THEN printf('%!.17g', {x}) ELSE CAST({x} AS TEXT) END", kind="text"
    )
