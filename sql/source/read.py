"""Reads the history that a job forecasts from. Nothing is ever written to a source."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from itertools import chain
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.ipc

from sql.engine.bulk import TextAmongNumbers
from sql.engine.connection import describe, resolve_url
from sql.engine.patience import patiently
from sql.errors import NoRows
from sql.source.as_of import COLUMNS, newest_in_batches, newest_vintages
from sql.source.database_reader import open_database
from sql.source.parquet_reader import open_parquet
from sql.source.reader import Bounds, Reader
from sql.source.resolve import describe_relation, query_text, takes_since
from sql.source.settings import Source
from sql.source.typed_batches import typed_batches

__all__ = [
    "Source", "check_source", "describe_source", "first_timestamp", "query_text", "read_observations",
    "save_observations", "takes_since",
]  # fmt: skip

# The dictionary of ids grows while rows are written.
_GROWING = pyarrow.ipc.IpcWriteOptions(emit_dictionary_deltas=True)


def describe_source(source: Source, base: Path | None = None) -> str:
    """The table or query and its database in words, without a password.

    >>> describe_source(Source(url="sqlite:///example.db", table="sales"), Path("/data"))
    "table 'sales' in sqlite:////data/example.db"
    """
    return f"{describe_relation(source)} in {describe(resolve_url(source.url, base))}"


def read_observations(
    source: Source,
    base: Path | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    time_zone: str = "UTC",
    known_at: datetime | None = None,
) -> pa.Table:
    r"""The rows of a source, in no particular order.

    Args:
        source: The table or query, and the meaning of its columns.
        base: The folder that relative paths start from.
        since: First timestamp, with a zone.
        until: Last timestamp, with a zone. A query gets the bounds that it names.
        time_zone: The zone of timestamps without one.
        known_at: Read the rows as of this moment, if the source has `recorded_at`: no row recorded later, and only
            the newest vintage of each series and timestamp. A row without a record time counts as known from the
            start. None for all vintages.

    Returns:
        | column | type |
        |---|---|
        | `series_id` | dictionary of strings; several columns are joined by "/", see `series_ids` |
        | `timestamp` | timestamp[us, UTC] if the source has zones, else timestamp[us], local to `time_zone` |
        | `value` | float64, null where not observed |
        | `value_text` | string: text of the value column that is not a number, null elsewhere. Only if there is any |
        | static columns | string |
        | other covariates | float64 |
        | `recorded_at` | timestamp[us, UTC], if the source has it |

        A timestamp is null where the source has an infinite one, or one outside the years 1678 to 2261. Where there
        are bounds, such rows lie outside of them.

    Raises:
        NoRows: where there are none.
        SourceError: where a table, column or file is missing, the query is not a single SELECT, or a column holds
            the wrong kind of values.
        StorageError: where the database does not answer.
    """
    buffers: list[pa.BufferOutputStream] = []

    def in_memory() -> pa.BufferOutputStream:
        buffers.append(pa.BufferOutputStream())
        return buffers[-1]

    bounds = Bounds(since, until, known_at, ZoneInfo(time_zone))
    newest_only = _write(source, base, bounds, in_memory)
    rows = pa.ipc.open_file(buffers[-1].getvalue()).read_all()
    return rows if newest_only else rows.filter(pa.array(newest_vintages(rows)))


def save_observations(
    source: Source,
    file: Path,
    base: Path | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    time_zone: str = "UTC",
    known_at: datetime | None = None,
    on_progress: Callable[[int], None] = lambda rows: None,
) -> None:
    """Write what `read_observations` gives to an Arrow file, batch by batch, without holding all rows in memory.

    After each batch, `on_progress` gets the number of rows so far.
    """
    bounds = Bounds(since, until, known_at, ZoneInfo(time_zone))
    newest_only = _write(source, base, bounds, lambda: str(file), on_progress)
    if not newest_only:
        _keep_newest(file)


@patiently
def check_source(source: Source, base: Path | None = None) -> None:
    """Check that a source can be opened and that its table and columns exist.

    Raises:
        SourceError, StorageError: as `read_observations`.
    """
    with _opened(source, base, Bounds()):
        pass


@patiently
def first_timestamp(source: Source, base: Path | None = None, time_zone: str = "UTC") -> datetime | None:
    """The oldest timestamp of a source, without a zone if it is local to `time_zone`; None if there are no rows.

    Raises:
        SourceError, StorageError: as `read_observations`.
    """
    bounds = Bounds(zone=ZoneInfo(time_zone))
    with _opened(source, base, bounds) as reader:
        oldest = [pc.min(batch["timestamp"]).as_py() for batch in typed_batches(reader, source, bounds, ["timestamp"])]
    return min((moment for moment in oldest if moment is not None), default=None)


def _opened(
    source: Source, base: Path | None, bounds: Bounds, numbers_as_text: bool = False
) -> AbstractContextManager[Reader]:
    url = resolve_url(source.url, base)
    if url.get_backend_name() == "parquet":
        return open_parquet(source, url, bounds)
    if url.get_backend_name() == "duckdb":
        from sql.source.duckdb_reader import open_duckdb

        return open_duckdb(source, url, base, bounds)
    return open_database(source, url, base, bounds, numbers_as_text)


@patiently
def _write(
    source: Source,
    base: Path | None,
    bounds: Bounds,
    sink: Callable[[], str | pa.BufferOutputStream],
    on_progress: Callable[[int], None] = lambda rows: None,
    numbers_as_text: bool = False,
) -> bool:
    """Write an Arrow file, from its start, and say whether it holds the wanted vintages only."""
    try:
        with _opened(source, base, bounds, numbers_as_text) as reader:
            batches = typed_batches(reader, source, bounds, value_text=numbers_as_text)
            _write_batches(batches, sink, source, reader.where, bounds, on_progress)
            return bounds.known_at is None or source.recorded_at is None or reader.newest_only
    except TextAmongNumbers:
        return _write(source, base, bounds, sink, on_progress, numbers_as_text=True)


def _write_batches(
    batches: Iterator[pa.RecordBatch],
    sink: Callable[[], str | pa.BufferOutputStream],
    source: Source,
    where: str,
    bounds: Bounds,
    on_progress: Callable[[int], None],
) -> None:
    first = next(batches, None)
    if first is None:
        by_then = ""
        if source.recorded_at and bounds.known_at:
            by_then = f" that were known by {bounds.known_at:%Y-%m-%d %H:%M %Z} ({source.recorded_at!r})"
        raise NoRows(
            f"There are no rows in {where}{by_then}. Load the history first, for example with `nightcast import`, "
            "or check the conditions of the query and the cutoff."
        )
    with pa.ipc.new_file(sink(), first.schema, options=_GROWING) as writer:
        rows = 0
        for batch in chain([first], batches):
            writer.write_batch(batch)
            rows += batch.num_rows
            on_progress(rows)


def _keep_newest(file: Path) -> None:
    """Remove all but the newest vintage of each row from an Arrow file."""
    newest, aside = newest_in_batches(lambda: _stored(file, COLUMNS)), file.with_suffix(".part")
    if newest.all():
        return
    begin, batches = 0, _stored(file)
    first = next(batches)
    with pa.ipc.new_file(str(aside), first.schema, options=_GROWING) as writer:
        for batch in chain([first], batches):
            writer.write_batch(batch.filter(pa.array(newest[begin : begin + batch.num_rows])))
            begin += batch.num_rows
    aside.replace(file)


def _stored(file: Path, names: Sequence[str] = ()) -> Iterator[pa.RecordBatch]:
    """Some columns, or all, of an Arrow file. A memory map would count as memory of the process, so it is read."""
    with pa.OSFile(str(file)) as stored, pa.ipc.open_file(stored) as whole:
        wanted = [whole.schema.get_field_index(name) for name in names]
    options = pa.ipc.IpcReadOptions(included_fields=wanted)
    with pa.OSFile(str(file)) as stored, pa.ipc.open_file(stored, options=options) as reader:
        for position in range(reader.num_record_batches):
            yield reader.get_batch(position)
