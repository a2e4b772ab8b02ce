"""Reads anomalies, and how many each evaluation found; `actuals.keep_actuals` writes them with the actuals."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import closing, nullcontext
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from sql.engine.bulk import Column, select, typed
from sql.engine.connection import adbc_connection, storage_errors
from sql.engine.patience import patiently
from sql.engine.statement import literal, quoted
from sql.output.schema import UTCDateTime
from sql.output.tables import anomaly, anomaly_rate

_INSTANT = pa.timestamp("us", "UTC")


@dataclass(frozen=True)
class Judged:
    """What an evaluation changes of anomalies, beside the actuals that it judged.

    Attributes:
        rows: New rows of `anomaly`, with time zones in timestamps.
        outdated: The `job`, `timestamp` and `series_id` of rows to delete first.
        rate: The row of `anomaly_rate`; None leaves what is there.
    """

    rows: pa.Table
    outdated: pa.Table
    rate: Mapping[str, Any] | None

    def rate_statements(self, dialect: sa.Dialect) -> Iterator[str]:
        """SQL that replaces the row of `anomaly_rate`."""
        if self.rate is None:
            return
        row = {**self.rate, "tail_counts": json.dumps(self.rate["tail_counts"])}
        values = {name: repr(value) if isinstance(value, int | float) else literal(value, dialect)
                  for name, value in row.items()}  # fmt: skip
        yield f"DELETE FROM anomaly_rate WHERE job = {values['job']} AND evaluated_on = {values['evaluated_on']}"
        yield f"INSERT INTO anomaly_rate ({', '.join(values)}) VALUES ({', '.join(values.values())})"


@patiently
def anomalies_since(engine: sa.Engine, job: str, first: datetime | None) -> pa.Table:
    """The anomalies of a job from a time on, all where it is None, by timestamp and series.

    Returns:
        The columns of `anomaly`; times are timestamp[us, UTC].

    Raises:
        StorageError: where the database does not answer.
    """
    return _anomalies(engine, job, "" if first is None else f"AND timestamp >= {literal(first, engine.dialect)}")


@patiently
def anomalies_on(engine: sa.Engine, job: str, evaluated_on: datetime) -> pa.Table:
    """The anomalies that one evaluation found, as `anomalies_since`."""
    return _anomalies(engine, job, f"AND evaluated_on = {literal(evaluated_on, engine.dialect)}")


def _anomalies(engine: sa.Engine, job: str, condition: str) -> pa.Table:
    kinds = {column.name: _kind(column) for column in anomaly.c}
    columns = [Column(quoted(name, engine.dialect), name, kind) for name, (kind, _) in kinds.items()]
    tail = f"FROM anomaly WHERE job = {literal(job, engine.dialect)} {condition}"
    with storage_errors(engine.url, "read from"):
        connection = adbc_connection(engine.url)
        with nullcontext() if connection is None else closing(connection):
            rows = select(connection, engine, columns, tail)
    table = pa.table({name: typed(rows[name], kind) for name, (_, kind) in kinds.items()})
    return table.sort_by([("timestamp", "ascending"), ("series_id", "ascending")])


@patiently
def anomaly_rates(engine: sa.Engine, job: str, before: datetime, most: int) -> list[dict[str, Any]]:
    """The rows of `anomaly_rate` of a job before a moment, newest first.

    Args:
        engine: The output database.
        job: The job's name.
        before: Evaluations from this one on are left out.
        most: The largest number of rows.

    Raises:
        StorageError: where the database does not answer.
    """
    query = sa.select(anomaly_rate).where(anomaly_rate.c.job == job, anomaly_rate.c.evaluated_on < before)
    query = query.order_by(anomaly_rate.c.evaluated_on.desc()).limit(most)
    with storage_errors(engine.url, "read from"), engine.connect() as connection:
        return [dict(row) for row in connection.execute(query).mappings()]


@patiently
def anomaly_totals(engine: sa.Engine, job: str, since: datetime | None = None) -> tuple[int, int]:
    """How many actuals were judged by evaluations from a moment on, and how many of them were anomalies then."""
    sums = [sa.func.coalesce(sa.func.sum(column), 0) for column in (anomaly_rate.c.actuals, anomaly_rate.c.anomalies)]
    query = sa.select(*sums).where(anomaly_rate.c.job == job)
    if since is not None:
        query = query.where(anomaly_rate.c.evaluated_on >= since)
    with storage_errors(engine.url, "read from"), engine.connect() as connection:
        actuals, anomalies = connection.execute(query).one()
    return int(actuals), int(anomalies)


@patiently
def anomaly_rate_of(engine: sa.Engine, job: str, evaluated_on: datetime) -> dict[str, Any] | None:
    """The row of `anomaly_rate` of one evaluation; None where it judged no actual."""
    query = sa.select(anomaly_rate).where(anomaly_rate.c.job == job, anomaly_rate.c.evaluated_on == evaluated_on)
    with storage_errors(engine.url, "read from"), engine.connect() as connection:
        found = connection.execute(query).mappings().first()
    return None if found is None else dict(found)


def _kind(column: sa.Column[Any]) -> tuple[Any, pa.DataType]:
    if isinstance(column.type, UTCDateTime):
        return "timestamp", _INSTANT
    return ("number", pa.float64()) if isinstance(column.type, sa.Double) else ("text", pa.string())
