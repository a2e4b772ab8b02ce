"""Moments as people write them."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from flows.job import JobError


def to_moment(written: str | datetime, zone: ZoneInfo) -> datetime:
    """A timestamp with its zone; one written without is meant in the job's.

    Raises:
        JobError: it does not read as a timestamp.

    >>> to_moment("2024-03-01", ZoneInfo("Europe/Madrid")).isoformat()
    '2024-03-01T00:00:00+01:00'
    """
    try:
        moment = written if isinstance(written, datetime) else datetime.fromisoformat(written)
    except ValueError:
        raise JobError(f"{written!r} is not a timestamp; write 2024-03-01 or 2024-03-01T06:00.") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=zone)
