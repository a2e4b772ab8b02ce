"""Write the report of a published night again."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from flows.job.job import JobError, LoadedJob
from tasks.night.ledger import Ledger
from tasks.report.write import write_page


def report_on(loaded: LoadedJob, cutoff: datetime | None) -> Path:
    """Write the page of the night at `cutoff`, or of the newest; gives its file.

    Raises:
        JobError: that night was not published, or none was; names the newest published nights.
    """
    ledger = Ledger.opened(loaded.places)
    nights = ledger.publications()
    if not nights:
        raise JobError(f"{loaded.job.name} has no night in {loaded.places.url_text} yet. Try `nightcast run`.")
    chosen = [night for night in nights if cutoff in (None, night["cutoff"])]
    if not chosen:
        known = [f"{night['cutoff']:%Y-%m-%dT%H:%MZ}" for night in nights[-5:]]
        raise JobError(f"{loaded.job.name} has no night of {cutoff}; the newest are {known}. Name one.")
    return write_page(loaded.places, ledger, chosen[-1]["cutoff"], chosen[-1]["run_id"])
