"""Reads what is known over the horizon from a place of its own, as the history is read."""

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
    """The rows of one entry of `source.known_future_from`, in no particular order; maybe none.

    Args:
        source: The source that the entry belongs to.
        other: The entry.
        base: The folder that relative paths start from.
        since: No row before it is needed, see `read_observations`.
        until: No row after it is needed.
        time_zone: The zone of timestamps that name none.
        known_at: Where the entry has `recorded_at`, the moment whose knowledge counts; None for every revision.

    Returns:
        `timestamp` and `series_id` as `read_observations` gives them, the latter only where the entry names it, and
        the entry's columns (float64); `recorded_at` too where every revision is given.

    Raises:
        SourceError, StorageError: as `read_observations`.
    """
    timestamp = other.timestamp or source.timestamp
    # The same reader for all: the first column stands as the value too, and where values hold for all series the
    # time stands as the id. Such a source could not be written in a job, so it is not validated.
    place = Source.model_construct(
        url=other.url or source.url,
        table=other.table,
        query=other.query,
        series_id=other.series_id or [timestamp],
        timestamp=timestamp,
        value=other.columns[0],
        known_future=other.columns,
        recorded_at=other.recorded_at,
    )
    revisions = ["recorded_at"] if other.recorded_at is not None and known_at is None else []
    try:
        rows = read_observations(place, base, since=since, until=until, time_zone=time_zone, known_at=known_at)
    except NoRows:
        numbers = {name: pa.array([], pa.float64()) for name in other.columns}
        ids = {"series_id": pa.array([], pa.string())} if other.series_id else {}
        recorded = {name: pa.array([], pa.timestamp("us", "UTC")) for name in revisions}
        return pa.table({**ids, "timestamp": pa.array([], pa.timestamp("us")), **numbers, **recorded})
    except SourceError as error:
        raise SourceError(f"source.known_future_from: {error}") from error
    kept = ["series_id", "timestamp"] if other.series_id else ["timestamp"]
    return rows.select([*kept, *other.columns, *revisions])


def ahead_as_of(rows: pa.Table, moment: datetime) -> pa.Table:
    """Every revision, as `read_known_future` gives them, as it was known at a moment; without `recorded_at`."""
    if "recorded_at" not in rows.column_names:
        return rows
    own = "series_id" in rows.column_names
    # What holds for all series is one series.
    ids = rows["series_id"] if own else pa.repeat("", rows.num_rows)
    one = pa.chunked_array([ids]) if isinstance(ids, pa.Array) else ids
    encoded = one if pa.types.is_dictionary(one.type) else one.dictionary_encode()
    named = rows.drop_columns(["series_id"] if own else []).append_column("series_id", encoded.unify_dictionaries())
    known = rows_known_at(named, moment)
    return known.drop_columns(["recorded_at"] if own else ["recorded_at", "series_id"])
