"""Reads and writes the actuals of published forecasts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, nullcontext, suppress
from datetime import datetime

import adbc_driver_manager
import adbc_driver_manager.dbapi
import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from sql.engine.bulk import Column, as_sqlite_text, select, typed
from sql.engine.connection import adbc_connection, storage_errors, transaction
from sql.engine.patience import before_writing, patiently
from sql.engine.statement import literal
from sql.output.tables import actual

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
def keep_actuals(engine: sa.Engine, rows: pa.Table, outdated: pa.Table) -> int:
    """Replace actuals in one transaction: delete the outdated ones, and insert the given ones.

    Args:
        engine: The output database, migrated.
        rows: The columns of `actual`, of one job, with time zones in timestamps; fastest in the order of its key.
        outdated: The `job`, `timestamp` and `series_id` of rows to delete: those whose value changed, which are among
            `rows`, and those whose value is not known any more.

    Returns:
        The number of rows inserted.

    Raises:
        StorageError: where the database refuses; it is unchanged then.
    """
    if not rows.num_rows and not outdated.num_rows:
        return 0
    before_writing()
    connection = adbc_connection(engine.url)
    if connection is None:
        _over_sqlalchemy(engine, rows, outdated)
    else:
        with storage_errors(engine.url, "write to"), closing(connection):
            _over_adbc(connection, engine.dialect, rows, outdated)
    return int(rows.num_rows)


def _over_sqlalchemy(engine: sa.Engine, rows: pa.Table, outdated: pa.Table) -> None:
    with transaction(engine) as connection:
        for statement in _deletes(outdated, engine.dialect):
            connection.execution_options(no_parameters=True).exec_driver_sql(statement)
        for batch in rows.to_batches(max_chunksize=_ROWS_AT_ONCE):
            connection.execute(actual.insert(), batch.to_pylist())


def _over_adbc(
    connection: adbc_driver_manager.dbapi.Connection, dialect: sa.Dialect, rows: pa.Table, outdated: pa.Table
) -> None:
    try:
        with connection.cursor() as cursor:
            for statement in _deletes(outdated, dialect):
                cursor.execute(statement)
            if rows.num_rows:
                stored = as_sqlite_text(rows) if dialect.name == "sqlite" else rows
                cursor.adbc_ingest("actual", stored, mode="append")
        connection.commit()
    except BaseException:
        # A database that had to end the transaction itself refuses to do it again, which must not hide why it did.
        with suppress(adbc_driver_manager.Error):
            connection.rollback()
        raise


def _deletes(outdated: pa.Table, dialect: sa.Dialect) -> Iterator[str]:
    for timestamp in pc.unique(outdated["timestamp"]):
        same_time = outdated.filter(pc.equal(outdated["timestamp"], timestamp))
        job, instant = (literal(value.as_py(), dialect) for value in (same_time["job"][0], timestamp))
        ids = same_time["series_id"].to_pylist()
        for first in range(0, len(ids), _IDS_AT_ONCE):
            listed = ", ".join(literal(name, dialect) for name in ids[first : first + _IDS_AT_ONCE])
            yield f"DELETE FROM actual WHERE job = {job} AND timestamp = {instant} AND series_id IN ({listed})"
