"""Reads and writes whose time and memory are measured, each in a process of its own."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from datetime import datetime
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pyarrow as pa

from benchmarks.scale.simulated_source import Made
from benchmarks.shared.simulated_history import make_history
from sql.engine.connection import adbc_connection, adbc_source_connection, connect, resolve_url
from sql.output import history
from sql.output.publish import publish_forecast
from sql.source.read import Source, save_observations

AT_ONCE = 1_000


def alone(work: Callable[..., float], *arguments: Any) -> tuple[float, float]:
    """Seconds that work took and peak memory in MiB, in a process of its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_measured, work, arguments).result()


def _measured(work: Callable[..., float], arguments: tuple[Any, ...]) -> tuple[float, float]:
    seconds = work(*arguments)
    # Not getrusage, which starts with the peak of the process before.
    [peak] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    return seconds, int(peak.split()[1]) / 1024


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
    """The night's own read."""
    began = time.perf_counter()
    save_observations(Source(url=url, table="observations"), file)
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


def ingest_history(url: str, this: Made) -> float:
    """All series, a few at a time: together they would take more memory than a night of them."""
    firsts = range(0, this.series, AT_ONCE)
    parts = (make_history(min(AT_ONCE, this.series - first), this.steps, this.step, first) for first in firsts)
    batches = (batch for part in parts for batch in part.to_batches())
    schema = make_history(1, 1, this.step).schema
    return ingest(url, "observations", pa.RecordBatchReader.from_batches(schema, batches))


def ingest_file(url: str, file: Path) -> float:
    return ingest(url, "bare", _rows(file))


def publish_file(url: str, file: Path) -> float:
    """The night's own publish into migrated, empty tables."""
    rows, engine = _rows(file), connect(resolve_url(url))
    began = time.perf_counter()
    publish_forecast(engine, rows)
    return time.perf_counter() - began


def keep_forecast(url: str, file: Path, cutoff: datetime) -> float:
    """The published night as an Arrow file."""
    began = time.perf_counter()
    rows = history.forecast_of(connect(resolve_url(url)), "scale", cutoff)
    with pa.ipc.new_file(str(file), rows.schema) as writer:
        writer.write_table(rows)
    return time.perf_counter() - began


def _rows(file: Path) -> pa.Table:
    with pa.OSFile(str(file)) as stored, pa.ipc.open_file(stored) as reader:
        return reader.read_all()
