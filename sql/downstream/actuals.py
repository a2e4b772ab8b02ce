"""Reads and writes the actuals of published forecasts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, nullcontext, suppress
from datetime import datetime
from typing import NamedTuple

import adbc_driver_manager
import adbc_driver_manager.dbapi
import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from sql.downstream.anomalies import Judged
from sql.engine.bulk import Column, as_sqlite_text, select, typed
from sql.engine.connection import adbc_connection, storage_errors, transaction
from sql.engine.patience import before_writing, patiently
from sql.engine.statement import literal
from sql.output.tables import actual, anomaly

_READ = {
    Column("series_id", "series_id", "text"): pa.string(),
    Column("timestamp", "timestamp", "timestamp"): pa.timestamp("us", "UTC"),
    Column("value", "value", "number"): pa.float64(),
}
_ROWS_AT_ONCE = 10_000
# The ids in one DELETE: SQLite takes a statement of a million bytes at most, and an id has 255 characters.
_IDS_AT_ONCE = 500


@patiently
def actuals_between(engine: sa.Engine, job: str, first: datetime, last: datetime) -> pa.Table:
    """The stored actuals of a job for a range of time, both ends included.

    Returns:
        Columns `series_id`, `timestamp` (timestamp[us, UTC]) and `value`.

    Raises:
        StorageError: where the database does not answer.
    """
    begin, end, name = (literal(value, engine.dialect) for value in (first, last, job))
    tail = f"FROM actual WHERE job = {name} AND timestamp BETWEEN {begin} AND {end}"
    with storage_errors(engine.url, "read from"):
        connection = adbc_connection(engine.url)
        with nullcontext() if connection is None else closing(connection):
            rows = select(connection, engine, [*_READ], tail)
    return pa.table({column.name: typed(rows[column.name], kind) for column, kind in _READ.items()})


@patiently
def keep_actuals(engine: sa.Engine, rows: pa.Table, outdated: pa.Table, judged: Judged | None = None) -> int:
    """Replace actuals in one transaction, and what is judged of them: delete outdated rows, and insert the given ones.

    Args:
        engine: The output database, migrated.
        rows: The columns of `actual`, of one job, with time zones in timestamps; fastest in the order of its key.
        outdated: The `job`, `timestamp` and `series_id` of rows to delete: those whose value changed, which are among
            `rows`, and those whose value is not known any more.
        judged: The anomalies among them; None where actuals are not judged.

    Returns:
        The number of rows inserted.

    Raises:
        StorageError: where the database refuses; it is unchanged then.
    """
    if not rows.num_rows and not outdated.num_rows:
        return 0
    before_writing()
    connection = adbc_connection(engine.url)
    parts = [_Part(actual, rows, outdated)]
    if judged is not None:
        parts.append(_Part(anomaly, judged.rows, judged.outdated))
    statements = [] if judged is None else [*judged.rate_statements(engine.dialect)]
    if connection is None:
        _over_sqlalchemy(engine, parts, statements)
    else:
        with storage_errors(engine.url, "write to"), closing(connection):
            _over_adbc(connection, engine.dialect, parts, statements)
    return int(rows.num_rows)


class _Part(NamedTuple):
    """What is written to one table: rows to insert once those with some keys are deleted."""

    table: sa.Table
    rows: pa.Table
    outdated: pa.Table


def _over_sqlalchemy(engine: sa.Engine, parts: Sequence[_Part], statements: Sequence[str]) -> None:
    with transaction(engine) as connection:
        plain = connection.execution_options(no_parameters=True)
        for part in parts:
            for statement in _deletes(part, engine.dialect):
                plain.exec_driver_sql(statement)
            for batch in part.rows.to_batches(max_chunksize=_ROWS_AT_ONCE):
                connection.execute(part.table.insert(), batch.to_pylist())
        for statement in statements:
            plain.exec_driver_sql(statement)


def _over_adbc(
    connection: adbc_driver_manager.dbapi.Connection,
    dialect: sa.Dialect,
    parts: Sequence[_Part],
    statements: Sequence[str],
) -> None:
    try:
        with connection.cursor() as cursor:
            for part in parts:
                for statement in _deletes(part, dialect):
                    cursor.execute(statement)
                if part.rows.num_rows:
                    stored = as_sqlite_text(part.rows) if dialect.name == "sqlite" else part.rows
                    cursor.adbc_ingest(part.table.name, stored, mode="append")
            for statement in statements:
                cursor.execute(statement)
        connection.commit()
    except BaseException:
        # A database that had to end the transaction itself refuses to do it again, which must not hide why it did.
        with suppress(adbc_driver_manager.Error):
            connection.rollback()
        raise


def _deletes(part: _Part, dialect: sa.Dialect) -> Iterator[str]:
    outdated = part.outdated
    for timestamp in pc.unique(outdated["timestamp"]):
        same_time = outdated.filter(pc.equal(outdated["timestamp"], timestamp))
        job, instant = (literal(value.as_py(), dialect) for value in (same_time["job"][0], timestamp))
        ids = same_time["series_id"].to_pylist()
        for first in range(0, len(ids), _IDS_AT_ONCE):
            listed = ", ".join(literal(name, dialect) for name in ids[first : first + _IDS_AT_ONCE])
            same = f"job = {job} AND timestamp = {instant} AND series_id IN ({listed})"
            yield f"DELETE FROM {part.table.name} WHERE {same}"
