"""Reads and writes, each measured in a process of its own.

Their process starts anew, since a forked one would begin with the peak memory of its parent. So these functions must
stand in a module that it can import.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from datetime import datetime
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from benchmarks.scale.simulated_source import SimulatedSource
from benchmarks.shared.simulated_history import make_history
from benchmarks.workers.protocol import peak_mib
from sql.engine.connection import adbc_connection, adbc_source_connection, connect, resolve_url
from sql.output import history
from sql.output.publish import publish_forecast
from sql.source.read import Source, save_observations

SERIES_AT_ONCE = 1_000


class Spent(NamedTuple):
    """Seconds that work took, and the peak memory of its process in MiB."""

    seconds: float
    peak_mib: float


def alone(work: Callable[..., float], *arguments: Any) -> Spent:
    """Do work in a process of its own; it returns its seconds."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_measured, work, arguments).result()


def _measured(work: Callable[..., float], arguments: tuple[Any, ...]) -> Spent:
    return Spent(work(*arguments), peak_mib())


def fetch(url: str) -> float:
    """A bare ADBC fetch of the columns that a night reads."""
    began = time.perf_counter()
    connection = adbc_source_connection(resolve_url(url))
    assert connection is not None  # SQLite and PostgreSQL have a driver.
    with closing(connection), connection.cursor() as cursor:
        cursor.execute("SELECT series_id, timestamp, value FROM observations")
        cursor.fetch_arrow_table()
    return time.perf_counter() - began


def read_rows(url: str, file: Path) -> float:
    """The read of a night."""
    began = time.perf_counter()
    save_observations(Source(url=url, table="observations"), file)
    return time.perf_counter() - began


def read_view(url: str, condition: str) -> float:
    """Forecasts beside their actuals, over ADBC."""
    began = time.perf_counter()
    connection = adbc_connection(resolve_url(url))
    assert connection is not None  # SQLite and PostgreSQL have a driver.
    with closing(connection), connection.cursor() as cursor:
        query = "SELECT series_id, step, median, actual, error, inside FROM forecast_vs_actual WHERE job = 'scale'"
        cursor.execute(f"{query} AND {condition} AND actual IS NOT NULL")
        if not cursor.fetch_arrow_table().num_rows:
            raise RuntimeError(f"The view has no actual where {condition}.")
    return time.perf_counter() - began


def ingest(url: str, table: str, rows: pa.Table | pa.RecordBatchReader) -> float:
    """A bare ADBC ingest into a new table without an index, committed."""
    began = time.perf_counter()
    connection = adbc_connection(resolve_url(url))
    assert connection is not None  # SQLite and PostgreSQL have a driver.
    with closing(connection):
        with connection.cursor() as cursor:
            cursor.adbc_ingest(table, rows, mode="create")
        connection.commit()
    return time.perf_counter() - began


def ingest_history(url: str, source: SimulatedSource) -> float:
    """Make the source, some series at a time: all of them together would take more memory than a night does."""
    firsts = range(0, source.series, SERIES_AT_ONCE)
    parts = (
        make_history(min(SERIES_AT_ONCE, source.series - first), source.steps, source.step, first) for first in firsts
    )
    batches = (batch for part in parts for batch in part.to_batches())
    schema = make_history(1, 1, source.step).schema
    return ingest(url, "observations", pa.RecordBatchReader.from_batches(schema, batches))


def ingest_file(url: str, file: Path) -> float:
    """A bare ADBC ingest of the rows of a published night."""
    return ingest(url, "bare", _rows(file))


def publish_file(url: str, file: Path) -> float:
    """The publish of a night, into migrated, empty tables."""
    rows, engine = _rows(file), connect(resolve_url(url))
    began = time.perf_counter()
    publish_forecast(engine, rows)
    return time.perf_counter() - began


def save_published(url: str, file: Path, cutoff: datetime) -> float:
    """Save the rows of a published night as an Arrow file."""
    began = time.perf_counter()
    rows = history.forecast_of(connect(resolve_url(url)), "scale", cutoff)
    with pa.ipc.new_file(str(file), rows.schema) as writer:
        writer.write_table(rows)
    return time.perf_counter() - began


def _rows(file: Path) -> pa.Table:
    with pa.OSFile(str(file)) as stored, pa.ipc.open_file(stored) as reader:
        return reader.read_all()
