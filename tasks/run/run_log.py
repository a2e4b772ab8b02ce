"""The table `run`: which nights were tried, and how each ended."""

from __future__ import annotations

import signal
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from sql.errors import StorageError, Unreachable
from sql.migrations.migrate import migrate
from sql.output import history, write
from tasks.step import logger, step
from tasks.store.places import Places

ENDED = {"completed", "unchanged"}
# What these parts did to a night says nothing of whether it came to its end.
_NO_NIGHT = {"train", "score"}


@step("prepare the tables", retries=2, retry_delay_seconds=(2, 10))
def begin_run(places: Places, run_id: str, cutoff: datetime, started_at: datetime, part: str) -> None:
    """Make or migrate the tables, and note that the run is on its way."""
    migrate(places.engine())
    write.start_run(places.engine(), run_id, places.job, cutoff, started_at, part)


def announce_run(places: Places, run_id: str, cutoff: datetime, started_at: datetime, part: str) -> None:
    """Note that the run reads its source, as of a cutoff that is not known for certain; makes no tables."""
    if places.has_runs():
        write.start_run(places.engine(), run_id, places.job, cutoff, started_at, part)


@step("close the run", retries=2, retry_delay_seconds=(2, 10))
def end_run(
    places: Places, run_id: str, finished_at: datetime, facts: dict[str, Any], state: write.RunEnd = "completed"
) -> None:
    """Note how the run ended, and what it did."""
    write.finish_run(places.engine(), run_id, state, finished_at, **facts)


def nights_done(places: Places) -> list[datetime]:
    """Cutoffs of the nights that are published and came to their end, oldest first; makes no tables.

    One that was published by a run that then failed or crashed is not done: nobody has judged what came true.
    """
    if not places.has_runs():
        return []
    engine = places.ready_engine()
    states: dict[datetime, set[str]] = {}
    for row in history.runs(engine, places.job):
        if row["kind"] in _NO_NIGHT:
            continue
        states.setdefault(row["cutoff"], set()).add(row["state"])
    published = [row["cutoff"] for row in history.publications(engine, places.job)]
    return [cutoff for cutoff in published if states.get(cutoff, ENDED) & ENDED]


def usual_rows(places: Places, whole_history: bool) -> int | None:
    """How many rows the newest night read that read as much of the history; None where there was none."""
    if not places.has_runs():
        return None
    rows = history.runs(places.ready_engine(), places.job)
    alike = (row["rows_read"] for row in rows if (row["train_mode"] != "load") == whole_history)
    return next(filter(None, alike), None)


def newest_night(places: Places) -> datetime | None:
    """Cutoff of the newest night that is published; None where none is."""
    return max((row["cutoff"] for row in history.publications(places.engine(), places.job)), default=None)


def note_failure(
    places: Places,
    run_id: str,
    cutoff: datetime,
    started_at: datetime,
    finished_at: datetime,
    part: str,
    error: BaseException,
) -> None:
    """Note that the run failed and why, where tables are; makes none, and never hides the failure itself."""
    if isinstance(error, Unreachable) and error.database == places.url_text:
        # What does not answer takes no note either, and asking again would only take more time.
        return
    try:
        if not places.has_runs():
            return
        if run_id not in {row["run_id"] for row in history.runs(places.engine(), places.job)}:
            write.start_run(places.engine(), run_id, places.job, cutoff, started_at, part)
        write.finish_run(places.engine(), run_id, "failed", finished_at, error=_words(error))
    except (StorageError, ValueError, sa.exc.SQLAlchemyError) as second:
        logger().warning("The failure could not be noted in the table run: %s", second)


def _words(error: BaseException) -> str:
    # What Prefect raises where a run is told to end has a number and no words.
    number = getattr(error, "signal", None)
    return str(error) or (f"ended by {signal.Signals(number).name}" if number else type(error).__name__)
