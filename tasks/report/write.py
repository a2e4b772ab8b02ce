"""Write a night as one self-contained HTML page."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

from tasks.monitoring.usual import usual_ratio_of
from tasks.monitoring.watch import PastLosses
from tasks.night.ledger import Ledger
from tasks.night.night import Night
from tasks.report.accuracy import best_known_cutoff
from tasks.report.details import read_details
from tasks.report.page import page_facts
from tasks.report.record import NightRecord, Row
from tasks.report.run_page import show_night
from tasks.report.series.gather import SeriesFiles, block_of_night
from tasks.report.series.scripts import block_in, explorer_of
from tasks.report.template import html_of
from tasks.step import step
from tasks.store.places import Places, write_whole


@step("write report")
def write_report(night: Night, files: SeriesFiles) -> Path:
    """Write the page of tonight, see `write_page`."""
    alerts = night.ledger.alerts()
    # The series are packed while the plots are drawn.
    with ThreadPoolExecutor(1, "series of the page") as aside:
        packing = aside.submit(block_of_night, night, files, alerts)
        return write_page(night.places, night.ledger, night.cutoff, night.run_id, packing.result)


def write_page(places: Places, ledger: Ledger, cutoff: datetime, run_id: str, block: Callable[[], str] = str) -> Path:
    """Write the page of a night. It replaces the page of an earlier run of the same night.

    Args:
        places: Where the job's reports are.
        ledger: What its nights wrote.
        cutoff: The cutoff of the night.
        run_id: The run that the page describes.
        block: Gives what the page holds of each series, see `pack_series`; "" for what the page held before.

    Returns:
        The page's path.

    Raises:
        StorageError: the database does not answer.
        OSError: the folder of the reports cannot be written.
    """
    path = places.report_file(cutoff)
    facts = page_facts(read_record(places, ledger, cutoff, run_id))
    write_whole(path, page_html(facts, block() or block_in(path)))
    show_night(facts, path, places.published_at(path))
    return path


def read_record(places: Places, ledger: Ledger, cutoff: datetime, run_id: str) -> NightRecord:
    """Read the record of a night from the tables and its details."""
    # One metric of one segment shows which forecast has most steps scored. Only that forecast's scores are read whole.
    overview = [row for row in ledger.scores(segment="all", metric="mae") if row["cutoff"] < cutoff]
    best = best_known_cutoff(overview)
    details, past = read_details(places, cutoff), PastLosses(ledger.losses(), ledger.hindcast_losses(), ledger.alerts())
    known = NightRecord(ledger.job, cutoff, details=details)
    segments = {row["segment"] for row in past.live if row["evaluated_on"] == cutoff}
    return NightRecord(
        job=ledger.job,
        cutoff=cutoff,
        run=next((dict(row) for row in ledger.runs() if row["run_id"] == run_id), {}),
        scores=[dict(row) for row in ledger.scores(cutoff=best)] if best else [],
        losses=[dict(row) for row in ledger.losses() if row["evaluated_on"] <= cutoff],
        hindcast=[dict(row) for row in ledger.hindcast_losses()],
        # A page written again later must not show alerts and versions that the night did not know.
        alerts=[
            dict(row)
            for row in ledger.alerts()
            if row["opened_at"] <= cutoff and not (row["closed_at"] and row["closed_at"] <= cutoff)
        ],
        versions=[dict(row) for row in ledger.models() if row["trained_until"] <= cutoff],
        places={"Tables": places.url_text, "Parquet": places.parquet, "Versions": places.versions},
        usual={each: usual_ratio_of(cutoff, each, past, known.monitor, known.zone) for each in segments},
        details=details,
    )


def render(record: NightRecord, block: str = "") -> str:
    """The page as HTML. Every value is escaped."""
    return page_html(page_facts(record), block)


def page_html(facts: Row, block: str) -> str:
    """The page of the facts of a night; with a block, every series can be looked at."""
    return html_of("page.html", {**facts, "explorer": explorer_of(block) if block else None})
