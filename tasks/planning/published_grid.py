"""The time grid of the nights before: the first night found it in the data, and later ones keep it."""

from __future__ import annotations

from models.calendar.origin import origin_of_night
from tasks.night.job import Job
from tasks.night.ledger import Ledger


def published_origin(job: Job, ledger: Ledger) -> str | None:
    """One step of the grid of the newest published night, in local time.

    None where it is the usual grid of the frequency, no night was published, or the job itself names the origin.
    """
    if job.forecast.origin is not None:
        return None
    published = ledger.publications()
    if not published:
        return None
    return origin_of_night(job.forecast.grid, published[-1]["cutoff"], published[-1]["first_timestamp"])
