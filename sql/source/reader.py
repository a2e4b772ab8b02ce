"""What every kind of source gives: batches of Arrow rows, columns as asked for, within bounds where it can."""

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
"""Rows that travel together: enough that the work per batch is small, few enough that they weigh megabytes."""


class Wanted(NamedTuple):
    """A column of the source, the name that it gets, and what it should hold."""

    name: str
    output: str
    kind: Kind


class Bounds(NamedTuple):
    """Which rows are wanted: aware instants, both ends included; None leaves nothing out.

    Attributes:
        since: No row before it is needed.
        until: No row after it is needed.
        known_at: Rows recorded later are not seen, and of several for one series and timestamp the newest counts.
        zone: Where times without a zone are meant.
    """

    since: datetime | None = None
    until: datetime | None = None
    known_at: datetime | None = None
    zone: ZoneInfo = ZoneInfo("UTC")


@dataclass(frozen=True)
class Reader:
    """An opened source.

    Attributes:
        where: The source in words.
        batches: Gives the columns by their output names, in types of the source's own; may give rows beyond the
            bounds.
        newest_only: Whether the source itself leaves out all but the newest revision of each row.
    """

    where: str
    batches: Callable[[Sequence[Wanted]], Iterator[pa.RecordBatch]]
    newest_only: bool = False


def wanted_columns(source: Source) -> list[Wanted]:
    """All columns that a job names, the parts of the id as `series_id 0`, `series_id 1` and so on."""
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
    """An instant as a column of timestamps holds it: with a zone where it has one, else on the zone's clock.

    >>> moment_for(pa.timestamp("us"), datetime(2024, 1, 1, tzinfo=UTC), ZoneInfo("Europe/Madrid"))
    datetime.datetime(2024, 1, 1, 1, 0)
    """
    return moment.astimezone(UTC) if getattr(kind, "tz", None) else moment.astimezone(zone).replace(tzinfo=None)
