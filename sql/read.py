"""Reads the history that a job forecasts from; the source is never written."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing, nullcontext
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import adbc_driver_manager
import adbc_driver_manager.dbapi
import pyarrow as pa
import sqlalchemy as sa

from sql import columns
from sql.bulk import Column, TextAmongNumbers, select
from sql.connection import adbc_source_connection, connect_source, describe, ping, resolve_url, storage_errors
from sql.errors import NoRows, SourceError
from sql.origin import check_columns, query_of, sentence, table_clause, what
from sql.source import Source
from sql.statement import instant_literal, quoted, text_literal, with_bounds

__all__ = ["Source", "describe_source", "first_timestamp", "read_observations"]

_POSTGRESQL_NUMBER_AS_TEXT = (b"numeric", b"money")


def describe_source(source: Source, base: Path | None = None) -> str:
    """Table and database in words, without a password.

    >>> describe_source(Source(url="sqlite:///example.db", table="sales"), Path("/data"))
    "table 'sales' in sqlite:////data/example.db"
    """
    return f"{what(source)} in {describe(resolve_url(source.url, base))}"


def read_observations(
    source: Source,
    base: Path | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    time_zone: str = "UTC",
) -> pa.Table:
    r"""The rows of a source, in no particular order.

    `since` and `until` (aware, both included) spare the database and the network: they are
    applied to a PostgreSQL table whose timestamp is no text, and given to a query that names them.
    Elsewhere rows beyond them come too, so the caller leaves these out.

    Args:
        source: Where the rows lie and what the columns mean.
        base: The folder that relative paths start from.
        since: No row before it is needed.
        until: No row after it is needed.
        time_zone: The zone of timestamps that name none.

    Returns:
        `series_id` (dictionary of strings; several columns joined by "/", with "/" and "\" in a
        part escaped by "\"), `timestamp` (timestamp[us] where local to `time_zone`, timestamp[us, UTC]
        where the source knows the zone), `value` (float64, null where not observed), `value_text` (string, only
        where the value column holds text that is no number: that text, null elsewhere), the static columns
        (string), the other covariates (float64), and `recorded_at` (like `timestamp`).

    Raises:
        NoRows: where there are none.
        SourceError: where a table, column or file is missing, the query is no single SELECT, or a column holds
            what it should not.
        StorageError: where the database does not answer.
    """
    url = resolve_url(source.url, base)
    engine = connect_source(url)
    where = f"{what(source)} in {describe(url)}"
    zone = ZoneInfo(time_zone)
    ping(engine)
    origin = _origin(engine, source, base, where, since, until, zone)
    check_columns(engine, source, origin, where)
    with storage_errors(url, "read from"), _opened(url) as connection:
        rows = _rows(connection, engine, source, origin, since, until, zone)
    return _typed(rows, source, where)


def first_timestamp(source: Source, base: Path | None = None, time_zone: str = "UTC") -> datetime | None:
    """The oldest timestamp of a source, naive where it is local to `time_zone`; None where there are no rows.

    Raises:
        SourceError, StorageError: as `read_observations`.
    """
    url = resolve_url(source.url, base)
    engine = connect_source(url)
    where = f"{what(source)} in {describe(url)}"
    origin = _origin(engine, source, base, where, None, None, ZoneInfo(time_zone))
    wanted = next(column for column in _wanted(source, engine.dialect) if column.name == "timestamp")
    with storage_errors(url, "read from"), _opened(url) as connection:
        rows = select(connection, engine, [wanted._replace(expression=f"MIN({wanted.expression})")], origin)
    found = rows["timestamp"]
    first: datetime | None = None if found.null_count else columns.instants(found, source.timestamp, where)[0].as_py()
    return first


def _origin(
    engine: sa.Engine,
    source: Source,
    base: Path | None,
    where: str,
    since: datetime | None,
    until: datetime | None,
    zone: ZoneInfo,
) -> str:
    """The FROM clause of the table or the query, which gets its bounds."""
    if source.query is None:
        return table_clause(engine, source.table or "", where)
    query = query_of(source.query, base, sentence(where))
    bounded = with_bounds(query, since, until, zone, engine.dialect, sentence(where))
    # The line break ends a comment that the query may end with.
    return f"FROM ({bounded}\n) source_rows"


def _opened(url: sa.URL) -> closing[adbc_driver_manager.dbapi.Connection] | nullcontext[None]:
    connection = adbc_source_connection(url)
    return nullcontext() if connection is None else closing(connection)


def _wanted(source: Source, dialect: sa.Dialect) -> list[Column]:
    def column(name: str, output: str, kind: str) -> Column:
        expression = quoted(name, dialect)
        if (kind == "text" and dialect.name in ("sqlite", "postgresql")) or (
            kind == "timestamp" and dialect.name == "sqlite"
        ):
            expression = f"CAST({expression} AS TEXT)"
        return Column(expression, output, kind)  # type: ignore[arg-type]

    return [
        *(column(name, f"series_id {i}", "text") for i, name in enumerate(source.series_id)),
        column(source.timestamp, "timestamp", "timestamp"),
        column(source.value, "value", "number"),
        *(column(name, name, "text") for name in source.static),
        *(column(name, name, "number") for name in source.numbers),
        *([column(source.recorded_at, "recorded_at", "timestamp")] if source.recorded_at else []),
    ]


def _rows(
    connection: adbc_driver_manager.dbapi.Connection | None,
    engine: sa.Engine,
    source: Source,
    origin: str,
    since: datetime | None,
    until: datetime | None,
    zone: ZoneInfo,
) -> pa.Table:
    wanted = _wanted(source, engine.dialect)
    if connection is not None and engine.dialect.name == "postgresql":
        with connection.cursor() as cursor:
            # Decides what a naive timestamp means where it meets an instant, as in `sold_at <= :until`.
            cursor.execute(f"SET TIME ZONE {text_literal(zone.key)}")
        schema = select(connection, engine, wanted, f"{origin} WHERE false").schema
        wanted = [_as_double(column, schema.field(column.name)) for column in wanted]
        if source.query is None:
            origin += _within(schema.field("timestamp").type, quoted(source.timestamp, engine.dialect), since, until)
    try:
        return select(connection, engine, wanted, origin)
    except TextAmongNumbers:
        return select(connection, engine, [_as_text(column) for column in wanted], origin)


def _as_double(column: Column, field: pa.Field) -> Column:
    """Exact decimals arrive as text over ADBC: let the server convert them."""
    postgresql_type = (field.metadata or {}).get(b"POSTGRESQL:type")
    if column.kind == "number" and postgresql_type in _POSTGRESQL_NUMBER_AS_TEXT:
        x = f"CAST({column.expression} AS numeric)"
        # The server refuses decimals that no double holds, rather than round them.
        return column._replace(
            expression=f"CASE WHEN abs({x}) BETWEEN 1e-300 AND 1e308 THEN CAST({x} AS double precision) "
            f"WHEN {x} = 'NaN' THEN 'NaN' WHEN abs({x}) < 1 THEN 0 "
            f"WHEN {x} > 0 THEN 'Infinity' WHEN {x} < 0 THEN '-Infinity' END"
        )
    return column


def _as_text(column: Column) -> Column:
    """A number of SQLite as text, with all its digits."""
    if column.kind != "number":
        return column
    x = column.expression
    return column._replace(
        expression=f"CASE typeof({x}) WHEN 'real' THEN printf('%!.17g', {x}) ELSE CAST({x} AS TEXT) END", kind="text"
    )


def _within(kind: pa.DataType, column: str, since: datetime | None, until: datetime | None) -> str:
    """A WHERE clause for real times; the session's time zone is the one that naive ones are meant in."""
    if not (pa.types.is_timestamp(kind) or pa.types.is_date(kind)):
        return ""
    bounds = {">=": since, "<=": until}
    terms = [f"{column} {sign} {instant_literal(bound)}" for sign, bound in bounds.items() if bound is not None]
    return f" WHERE {' AND '.join(terms)}" if terms else ""


def _typed(rows: pa.Table, source: Source, where: str) -> pa.Table:
    if not rows.num_rows:
        raise NoRows(
            f"There are no rows in {where}. Load the history first, for example with `nightcast import`, "
            "or check the query's conditions and the cutoff."
        )
    typed = {
        "series_id": columns.series_ids(
            [rows[f"series_id {i}"] for i in range(len(source.series_id))], source.series_id, where
        ),
        "timestamp": columns.instants(rows["timestamp"], source.timestamp, where),
    }
    typed["value"], texts = columns.numbers_and_texts(rows["value"], source.value, where)
    if texts is not None:
        typed["value_text"] = texts
    if typed["timestamp"].null_count:
        raise SourceError(
            f"{typed['timestamp'].null_count} of {rows.num_rows} rows of {where} have no {source.timestamp!r}. "
            "Fill it in, or leave these rows out with a query."
        )
    typed |= {name: columns.words(rows[name], name, where) for name in source.static}
    typed |= _numbers(rows, source.numbers, where)
    if source.recorded_at:
        typed["recorded_at"] = columns.instants(rows["recorded_at"], source.recorded_at, where)
    return pa.table(typed)


def _numbers(rows: pa.Table, names: Sequence[str], where: str) -> dict[str, pa.ChunkedArray]:
    return {name: columns.numbers(rows[name], name, where) for name in names}
