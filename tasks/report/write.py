"""Write a night as one self-contained HTML page."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from sql.output import history
from tasks.report.accuracy import best_known_cutoff
from tasks.report.details import read_details
from tasks.report.page import page_facts
from tasks.report.record import NightRecord
from tasks.report.run_page import show_night
from tasks.report.template import html_of
from tasks.step import step
from tasks.store.places import Places, write_whole


@step("write report")
def write_report(places: Places, cutoff: datetime, run_id: str) -> Path:
    """Write the page of a night. It replaces the page of an earlier run of the same night.

    Args:
        places: Where the job's tables and reports are.
        cutoff: The cutoff of the night.
        run_id: The run that the page describes.

    Returns:
        The page's path.

    Raises:
        StorageError: the database does not answer.
        OSError: the folder of the reports cannot be written.
    """
    path = places.report_file(cutoff)
    facts = page_facts(read_night(places, cutoff, run_id))
    write_whole(path, html_of("page.html", facts))
    show_night(facts, path)
    return path


def read_night(places: Places, cutoff: datetime, run_id: str) -> NightRecord:
    """Read the record of a night from the tables and its details."""
    engine, job = places.engine(), places.job
    # One metric of one segment shows which forecast has most steps scored. Only that forecast's scores are read whole.
    overview = [row for row in history.scores(engine, job, segment="all", metric="mae") if row["cutoff"] < cutoff]
    best = best_known_cutoff(overview)
    return NightRecord(
        job=job,
        cutoff=cutoff,
        run=next((row for row in history.runs(engine, job) if row["run_id"] == run_id), {}),
        scores=history.scores(engine, job, cutoff=best) if best else [],
        losses=[row for row in history.losses(engine, job) if row["evaluated_on"] <= cutoff],
        # A page written again later must not show alerts and versions that the night did not know.
        alerts=[
            row
            for row in history.alerts(engine, job)
            if row["opened_at"] <= cutoff and not (row["closed_at"] and row["closed_at"] <= cutoff)
        ],
        versions=[row for row in history.models(engine, job) if row["trained_until"] <= cutoff],
        places={"Tables": places.url_text, "Parquet": places.parquet, "Versions": places.versions},
        details=read_details(places, cutoff),
    )


def render(record: NightRecord) -> str:
    """The page as HTML. Every value is escaped."""
    return html_of("page.html", page_facts(record))
