"""The night: in which order its steps run, whether as plain functions or as tasks of a Prefect flow."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

from flows.job.moments import local_day
from flows.night.missed_nights import catch_up
from flows.night.reading import read_history
from flows.night.request import NightRequest, RunNight
from flows.night.results import Results
from flows.night.stages import (
    decide_promotion,
    forecast_and_publish,
    hindcast_new_model,
    judge,
    prepare_model,
    refuse_stale_source,
    report,
    update_home,
)
from flows.night.stopwatch import Stopwatch
from flows.night.summary import NightSummary
from models.errors import TrainingFailed
from sql.engine.patience import HASTE, Patience, patience
from sql.errors import StorageError, Unreachable
from tasks.forecasting.reconcile import require_method
from tasks.interrupts import hidden_interrupt
from tasks.monitoring.notify import check_targets
from tasks.night.night import Night, Run
from tasks.night.owner import NameTaken, refuse_taken_name
from tasks.prefect_ui import label_run
from tasks.printing.errors import clean_errors
from tasks.printing.logs import guard_logs
from tasks.private_files import private_files
from tasks.run.interruption import note_interrupt
from tasks.run.lock import one_at_a_time
from tasks.run.run_log import announce_run, begin_run, end_run, note_failure
from tasks.runner.cluster import check_runner
from tasks.step import logger
from tasks.store.probes import check_places


def run_here(request: NightRequest) -> NightSummary:
    """Run a night in this process, as plain functions, and missed nights before it in the same way."""
    return night(request, uuid4().hex, run_here)


@private_files()
def night(
    request: NightRequest, run_id: str, run_missed: RunNight, wait_for_earlier: Callable[[], None] = lambda: None
) -> NightSummary:
    """One night of one job, from reading to report; a failure is noted in the table `run` and raised again.

    Args:
        request: What is asked for. A part of the night that must not train is given the policy `never`.
        run_id: Key of the run in the table `run`.
        run_missed: Runs a night that was missed before this one.
        wait_for_earlier: Waits for the nights before, where several run at once. Reading and training do not depend
            on them; the champion, the calibration and the verdicts on the loss do.
    """
    guard_logs()
    with clean_errors(), patience(Patience(say=lambda text: logger().warning("%s", text))):
        run = request.run(run_id)
        label_run(run.job.name)
        summary = _noted(run, request, run_missed, wait_for_earlier)
        return replace(summary, home=_update_home(run, summary.cutoff))


def _noted(run: Run, request: NightRequest, run_missed: RunNight, wait_for_earlier: Callable[[], None]) -> NightSummary:
    """The night under the job's lock; a failure is noted."""
    try:
        check_targets(run.job.notify)
        require_method(run.job.aggregation_levels)
        check_places(run.places)
        check_runner(run.job.runner)
        refuse_taken_name(run.job, run.places, run.file)
        with one_at_a_time(run.places, run.job.schedule.second_run, run.ledger.forget):
            # Another job may have taken the name while this one waited.
            refuse_taken_name(run.job, run.places, run.file)
            announce_run(run)
            with run.places.scratch(run.run_id):
                return _run_stages(run, request, run_missed, wait_for_earlier)
    except NameTaken:
        # The runs of that name are of another job.
        raise
    except Exception as error:
        if interrupt := hidden_interrupt(error):
            raise note_interrupt(run, interrupt) from None
        note_failure(run, datetime.now(UTC), error)
        _show_failure(run, error)
        raise
    except BaseException as error:
        raise note_interrupt(run, error) from None


def _run_stages(
    run: Run, request: NightRequest, run_missed: RunNight, wait_for_earlier: Callable[[], None]
) -> NightSummary:
    """The stages of a night, one after the other."""
    clock = Stopwatch()
    history = read_history(run, clock)
    night = run.on_grid_of(history.audit.origin).at(history.audit.cutoff)
    label_run(night.job.name, local_day(night.cutoff, night.job.forecast.zone))
    name_note = begin_run(night)
    refuse_stale_source(night, history.audit, request.notify)
    caught_up = catch_up(night, request, run_missed)
    if caught_up.leaves_out_tonight:
        return _skip(night, caught_up.note)
    prepared = prepare_model(night, history, request.uses_new_model, clock)
    wait_for_earlier()
    # Nights that ran meanwhile have written to the tables.
    night.ledger.forget()
    if night.kind == "train" and prepared.model.failure:
        raise TrainingFailed(prepared.model.failure)
    if request.promotes:
        hindcast_new_model(night, prepared, clock)
    forecast = forecast_and_publish(night, prepared, clock) if night.forecasts else None
    challenger = decide_promotion(night, prepared, clock) if request.promotes else ""
    judgement = judge(night, prepared.history, forecast, request.notify, clock) if night.judges else None
    page, unwritten = report(night, prepared, forecast, judgement, clock) if forecast is not None else ("", "")
    results = Results(prepared, forecast, judgement, page, (name_note, caught_up.note, challenger, unwritten))
    end_run(night, datetime.now(UTC), results.run_facts(clock.seconds), results.state)
    return results.summary(night, clock.seconds)


def _update_home(run: Run, cutoff: datetime) -> str:
    return update_home(run.places, run.ledger, run.job, run.places.report_file(cutoff))


def _show_failure(run: Run, error: Exception) -> None:
    """Let the job's home show that the run failed. A database that is away knows nothing of it."""
    if isinstance(error, Unreachable) and error.database == run.places.url_text:
        return
    with suppress(StorageError), patience(HASTE):
        # A job whose first run fails before it has tables leaves nothing.
        if run.places.has_runs():
            _update_home(run, run.now)


def _skip(night: Night, note: str) -> NightSummary:
    """End a night that has nothing left to do."""
    end_run(night, datetime.now(UTC), {"note": note}, "skipped")
    return NightSummary(
        run_id=night.run_id,
        job=night.job.name,
        cutoff=night.cutoff,
        tables=night.places.url_text,
        state="skipped",
        note=note,
    )
