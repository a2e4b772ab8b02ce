"""The table `run`: which nights were tried, and how each ended."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from sql import history, write
from sql.errors import StorageError, Unreachable
from sql.migrations import migrate
from tasks.places import Places
from tasks.step import logger, step


@step("prepare the tables", retries=2, retry_delay_seconds=(2, 10))
def begin_run(places: Places, run_id: str, cutoff: datetime, started_at: datetime) -> None:
    """Make or migrate the tables, and note that the run is on its way."""
    migrate(places.engine())
    write.start_run(places.engine(), run_id, places.job, cutoff, started_at)


@step("close the run", retries=2, retry_delay_seconds=(2, 10))
def end_run(places: Places, run_id: str, finished_at: datetime, facts: dict[str, Any]) -> None:
    """Note that the run was completed, and what it did."""
    write.finish_run(places.engine(), run_id, "completed", finished_at, **facts)


def note_failure(
    places: Places, run_id: str, cutoff: datetime, started_at: datetime, finished_at: datetime, error: BaseException
) -> None:
    """Note that the run failed and why, where tables are; makes none, and never hides the failure itself."""
    if isinstance(error, Unreachable) and error.database == places.url_text:
        # What does not answer takes no note either, and asking again would only take more time.
        return
    try:
        if not places.has_tables() or not sa.inspect(places.engine()).has_table("run"):
            return
        if run_id not in {row["run_id"] for row in history.runs(places.engine(), places.job)}:
            write.start_run(places.engine(), run_id, places.job, cutoff, started_at)
        message = str(error) or type(error).__name__
        write.finish_run(places.engine(), run_id, "failed", finished_at, error=message)
    except (StorageError, ValueError, sa.exc.SQLAlchemyError) as second:
        logger().warning("The failure could not be noted in the table run: %s", second)
