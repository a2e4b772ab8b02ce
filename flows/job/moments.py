"""Moments, read and written as people do."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from flows.job.job import JobError
from flows.job.problems import abbreviate
from models.settings.forecast import FIRST_YEAR, LAST_YEAR


def to_moment(written: str | datetime, zone: ZoneInfo) -> datetime:
    """A timestamp with a zone; that of the job where none is written.

    Raises:
        JobError: it does not read as a timestamp, or is not of a year that can be forecast.

    >>> to_moment("2024-03-01", ZoneInfo("Europe/Madrid")).isoformat()
    '2024-03-01T00:00:00+01:00'
    """
    try:
        moment = written if isinstance(written, datetime) else datetime.fromisoformat(written)
    except ValueError:
        shown = abbreviate(written)
        raise JobError(f"{shown} is not a timestamp; write 2024-03-01 or 2024-03-01T06:00.") from None
    if not FIRST_YEAR <= moment.year <= LAST_YEAR:
        raise JobError(f"The time {moment.isoformat()} is not within the years {FIRST_YEAR} to {LAST_YEAR}.")
    return moment if moment.tzinfo else moment.replace(tzinfo=zone)


def to_cutoff(written: str | datetime, zone: ZoneInfo, now: datetime) -> datetime:
    """The cutoff of a night, which must not be in the future.

    Raises:
        JobError: it does not read as a timestamp, or is after `now`. Such a night would stay the newest one, and every
            night until then would count as a night of the past.
    """
    moment = to_moment(written, zone)
    if moment > now:
        raise JobError(
            f"The cutoff {moment.isoformat()} has not come yet: it is {now:%Y-%m-%dT%H:%M%z}. Give an earlier one."
        )
    return moment


def local_day(moment: datetime, zone: ZoneInfo) -> str:
    """A moment in the job's zone: the day, and the time where it is not midnight.

    >>> local_day(datetime.fromisoformat("2024-02-29T23:00Z"), ZoneInfo("Europe/Madrid"))
    '2024-03-01'
    """
    local = moment.astimezone(zone)
    return f"{local:%Y-%m-%d %H:%M}" if local.hour or local.minute else f"{local:%Y-%m-%d}"
