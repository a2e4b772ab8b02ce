"""Write the home of a job, the links between its pages, and the page over all jobs."""

from __future__ import annotations

from datetime import tzinfo
from pathlib import Path

from models.settings.monitoring import MonitorSettings
from tasks.home.facts import home_facts, summary
from tasks.home.files import TEMPLATES, Pages, link_pages
from tasks.home.jobs import HOME, SUMMARY, write_jobs
from tasks.home.record import read_job
from tasks.night.ledger import Ledger
from tasks.report.template import html_of
from tasks.store.places import Places, write_whole
from tasks.strict_json import strict_json


def write_home(
    places: Places, ledger: Ledger, zone: tzinfo, changed: Path | None = None, monitor: MonitorSettings | None = None
) -> Path:
    """Bring the pages over all nights up to date: links, the job's home, and the page over all jobs.

    Args:
        places: Where the job's reports are.
        ledger: What its nights wrote.
        zone: The job's time zone.
        changed: The page that was just written: only its links and those of its neighbours are written. None for
            those of all pages.
        monitor: The job's settings, from which follows what is usual; None for the default ones.

    Returns:
        The file of the job's home.

    Raises:
        StorageError: the database does not answer.
        OSError: the folder of reports cannot be read or written.
    """
    pages = Pages.of(places.report)
    link_pages(pages, zone, None if changed is None else changed.name)
    facts = home_facts(read_job(places, ledger, zone, monitor or MonitorSettings()))
    file = places.report / HOME
    write_whole(file, html_of("home.html", facts, TEMPLATES))
    write_whole(places.report / SUMMARY, strict_json(summary(facts)))
    write_jobs(places.report.parent)
    return file
