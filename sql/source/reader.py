"""What every kind of source offers: the wanted columns as Arrow batches, within bounds where it can."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

import pyarrow as pa

from sql.engine.bulk import Kind
from sql.source.settings import Source

BATCH_ROWS = 1 << 17
"""Rows of a batch: enough to make the overhead of a batch small, and few enough to need only megabytes."""


class Wanted(NamedTuple):
    """A column of the source, the name of the result column, and the kind of its values."""

    name: str
    output: str
    kind: Kind


class Bounds(NamedTuple):
    """Which rows to read. Times have a zone, both ends are included, and None excludes nothing.

    Attributes:
        since: First timestamp.
        until: Last timestamp.
        known_at: Read rows as of this moment: none recorded later, and only the newest vintage of each.
        zone: The zone of timestamps without one.
    """

    since: datetime | None = None
    until: datetime | None = None
    known_at: datetime | None = None
    zone: ZoneInfo = ZoneInfo("UTC")


@dataclass(frozen=True)
class Reader:
    """An opened source.

    Attributes:
        where: The source in words, for messages.
        batches: Gives the wanted columns under their output names, in the types of the source. May give rows outside
            the bounds.
        newest_only: Whether the source itself excludes all but the newest vintage of each row.
    """

    where: str
    batches: Callable[[Sequence[Wanted]], Iterator[pa.RecordBatch]]
    newest_only: bool = False


def wanted_columns(source: Source) -> list[Wanted]:
    """All columns that a job names. The parts of the id become `series_id 0`, `series_id 1` and so on."""
    recorded = [Wanted(source.recorded_at, "recorded_at", "timestamp")] if source.recorded_at else []
    return [
        *(Wanted(name, f"series_id {i}", "text") for i, name in enumerate(source.series_id)),
        Wanted(source.timestamp, "timestamp", "timestamp"),
        Wanted(source.value, "value", "number"),
        *(Wanted(name, name, "text") for name in source.static),
        *(Wanted(name, name, "number") for name in source.numbers),
        *recorded,
    ]


def moment_for(kind: pa.DataType, moment: datetime, zone: ZoneInfo) -> datetime:
    """A moment in the form of a column of timestamps: in UTC if the column has a zone, else local to `zone`.

    >>> moment_for(pa.timestamp("us"), datetime(2024, 1, 1, tzinfo=UTC), ZoneInfo("Europe/Madrid"))
    datetime.datetime(2024, 1, 1, 1, 0)
    """
    return moment.astimezone(UTC) if getattr(kind, "tz", None) else moment.astimezone(zone).replace(tzinfo=None)
