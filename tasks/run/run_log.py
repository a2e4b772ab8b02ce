"""The table `run`: which nights were tried, and how each ended."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from sql.engine.patience import checked_before_writing, has_answered
from sql.errors import StorageError, StorageFull, Unreachable
from sql.migrations.migrate import migrate
from sql.output.partitions import add_month
from sql.output.publish import add_quantile_columns
from sql.output.quantile_columns import quantile_column
from sql.output.write import RunEnd
from sql.secrets.known import hide
from tasks.interrupts import cause_of, is_interrupt
from tasks.night.ledger import Ledger
from tasks.night.night import Night, Run
from tasks.night.owner import claim_name, keep_name
from tasks.step import logger, step

ENDED = {"completed", "unchanged"}
# Runs of these kinds do not say whether a whole night came to its end.
_NO_NIGHT = {"train", "score"}


@step("prepare the tables", retries=2, retry_delay_seconds=(2, 10))
def begin_run(night: Night) -> str:
    """Make or migrate the tables, and note that the name belongs to this job and the run is on its way.

    Returns:
        What has changed about the job, see `claim_name`.

    Raises:
        NameTaken: the name belongs to another job.
        NotPermitted: this user may not make or migrate the tables, or add the month of the night.
    """
    migrate(night.ledger.engine)
    note = claim_name(night.job, night.places, night.file, night.started_at)
    if note:
        logger().warning("%s: %s", night.job.name, note)
    if night.forecasts and night.ledger.engine.dialect.name == "postgresql":
        # Who may not add a month or a column must know before the training, not after it.
        add_month(night.ledger.engine, night.cutoff)
        levels = sorted({*night.job.forecast.quantile_levels, 0.5})
        add_quantile_columns(night.ledger.engine, [quantile_column(level) for level in levels])
    night.ledger.start_run(night.run_id, night.cutoff, night.started_at, night.kind)
    return note


def announce_run(run: Run) -> None:
    """Note that the run reads its source, under a cutoff that is not certain yet; makes no tables."""
    if run.places.has_runs():
        run.ledger.start_run(run.run_id, run.requested_cutoff or run.now, run.started_at, run.kind)


@step("close the run", retries=2, retry_delay_seconds=(2, 10))
def end_run(night: Night, finished_at: datetime, facts: Mapping[str, Any], state: RunEnd = "completed") -> None:
    """Note how the run ended, and what it did; `facts` are further columns of `run`."""
    keep_name(night.job, night.places, night.file, night.started_at)
    night.ledger.finish_run(night.run_id, state, finished_at, facts)


def nights_done(ledger: Ledger) -> list[datetime]:
    """Cutoffs of the nights that are published and came to their end, oldest first.

    A published night whose run then failed, crashed or was interrupted is not done: nobody has judged the past
    forecasts that night.
    """
    states: dict[datetime, set[str]] = {}
    for row in ledger.runs():
        if row["kind"] not in _NO_NIGHT:
            states.setdefault(row["cutoff"], set()).add(row["state"])
    published = [row["cutoff"] for row in ledger.publications()]
    return [cutoff for cutoff in published if states.get(cutoff, ENDED) & ENDED]


def expected_rows(ledger: Ledger, whole_history: bool) -> int | None:
    """The number of rows that the newest comparable night read; None where there was none.

    A night that loads its model reads the newest rows; any other night reads the whole history.
    """
    comparable = (row["rows_read"] for row in ledger.runs() if (row["train_mode"] != "load") == whole_history)
    return next(filter(None, comparable), None)


def newest_night(ledger: Ledger) -> datetime | None:
    """Cutoff of the newest night that is published; None where none is."""
    return max((row["cutoff"] for row in ledger.publications()), default=None)


def note_failure(run: Run, finished_at: datetime, error: BaseException) -> None:
    """Note that the run failed or was interrupted, and why. Makes no tables, and never hides the failure itself."""
    is_output = isinstance(error, Unreachable) and error.database == run.places.url_text
    if is_output and not has_answered(run.places.engine().url):
        # There is no row of this run, and a database that never answered takes no note either.
        return
    try:
        # Another process may run the job by now, but this row is of this run alone.
        with checked_before_writing(None):
            if not run.places.has_runs():
                return
            run.ledger.forget("run")
            if run.run_id not in {row["run_id"] for row in run.ledger.runs()}:
                run.ledger.start_run(run.run_id, run.requested_cutoff or run.now, run.started_at, run.kind)
            state: RunEnd = "interrupted" if is_interrupt(error) else "failed"
            run.ledger.finish_run(run.run_id, state, finished_at, {"error": _message_of(error)})
    except (StorageError, ValueError, sa.exc.SQLAlchemyError) as second:
        if isinstance(error, StorageFull) and isinstance(second, StorageFull):
            # The message about the failure says it already.
            return
        logger().warning("The failure could not be noted in the table run: %s", second)


def _message_of(error: BaseException) -> str:
    return f"ended by {cause_of(error)}" if is_interrupt(error) else hide(str(error)) or type(error).__name__
