"""Write the report of a published night again, and the pages over all nights."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from flows.job.job import JobError, LoadedJob
from tasks.home.write import write_home
from tasks.night.ledger import Ledger
from tasks.report.write import write_page


class Reported(NamedTuple):
    """What was written.

    Attributes:
        night: The page of the night.
        home: The page over all nights.
    """

    night: Path
    home: Path


def report_on(loaded: LoadedJob, cutoff: datetime | None) -> Reported:
    """Write the page of the night at `cutoff`, or of the newest, and the pages over all nights.

    Raises:
        JobError: that night was not published, or none was; names the newest published nights, or the page that lists
            those that failed.
    """
    ledger = Ledger.opened(loaded.places)
    nights = ledger.publications()
    if not nights:
        tried = ledger.runs()
        home = (
            f" {write_home(loaded.places, ledger, loaded.job.forecast.zone)} lists those that failed." if tried else ""
        )
        raise JobError(f"{loaded.job.name} has no night in {loaded.places.url_text} yet.{home} Try `nightcast run`.")
    chosen = [night for night in nights if cutoff in (None, night["cutoff"])]
    if not chosen:
        known = [f"{night['cutoff']:%Y-%m-%dT%H:%MZ}" for night in nights[-5:]]
        raise JobError(f"{loaded.job.name} has no night of {cutoff}; the newest are {known}. Name one.")
    page = write_page(loaded.places, ledger, chosen[-1]["cutoff"], chosen[-1]["run_id"])
    return Reported(page, write_home(loaded.places, ledger, loaded.job.forecast.zone))
