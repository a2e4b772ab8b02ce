"""Reads known-future columns from a table or query of their own, in the same way as the history."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pyarrow as pa

from sql.errors import NoRows, SourceError
from sql.source.as_of import known_at as rows_known_at
from sql.source.read import read_observations
from sql.source.settings import KnownFuture, Source


def read_known_future(
    source: Source,
    other: KnownFuture,
    base: Path | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    time_zone: str = "UTC",
    known_at: datetime | None = None,
) -> pa.Table:
    """The rows of one entry of `source.known_future_from`, in no particular order; there may be none.

    Args:
        source: The source that the entry belongs to.
        other: The entry.
        base: The folder that relative paths start from.
        since: First timestamp, see `read_observations`.
        until: Last timestamp.
        time_zone: The zone of timestamps without one.
        known_at: Read the rows as of this moment, if the entry has `recorded_at`; None for all vintages.

    Returns:
        `timestamp` and the columns of the entry (float64); `series_id` if the entry names it; `recorded_at` if all
        vintages are read. Types as `read_observations` gives them.

    Raises:
        SourceError, StorageError: as `read_observations`.
    """
    timestamp = other.timestamp or source.timestamp
    # To use the reader of the history, the first column doubles as the value. Where values hold for all series,
    # the time doubles as the id. No job file could name such a source, so it skips validation.
    as_history = Source.model_construct(
        url=other.url or source.url,
        table=other.table,
        query=other.query,
        series_id=other.series_id or [timestamp],
        timestamp=timestamp,
        value=other.columns[0],
        known_future=other.columns,
        recorded_at=other.recorded_at,
    )
    recorded_at = ["recorded_at"] if other.recorded_at is not None and known_at is None else []
    try:
        rows = read_observations(as_history, base, since=since, until=until, time_zone=time_zone, known_at=known_at)
    except NoRows:
        numbers = {name: pa.array([], pa.float64()) for name in other.columns}
        ids = {"series_id": pa.array([], pa.string())} if other.series_id else {}
        recorded = {name: pa.array([], pa.timestamp("us", "UTC")) for name in recorded_at}
        return pa.table({**ids, "timestamp": pa.array([], pa.timestamp("us")), **numbers, **recorded})
    except SourceError as error:
        raise SourceError(f"source.known_future_from: {error}") from error
    key = ["series_id", "timestamp"] if other.series_id else ["timestamp"]
    return rows.select([*key, *other.columns, *recorded_at])


def known_future_as_of(rows: pa.Table, moment: datetime) -> pa.Table:
    """The rows as of a moment, from all vintages that `read_known_future` gave; without `recorded_at`."""
    if "recorded_at" not in rows.column_names:
        return rows
    has_ids = "series_id" in rows.column_names
    # Values that hold for all series count as one series.
    ids = rows["series_id"] if has_ids else pa.chunked_array([pa.repeat("", rows.num_rows)])
    encoded = ids if pa.types.is_dictionary(ids.type) else ids.dictionary_encode()
    with_ids = rows.drop_columns(["series_id"] if has_ids else [])
    with_ids = with_ids.append_column("series_id", encoded.unify_dictionaries())
    known = rows_known_at(with_ids, moment)
    return known.drop_columns(["recorded_at"] if has_ids else ["recorded_at", "series_id"])
