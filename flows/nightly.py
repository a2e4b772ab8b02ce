"""The night as a Prefect flow: the same definition, its steps as tasks on the run's page."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prefect import flow
from prefect.runtime import flow_run
from prefect.states import Completed

from flows.form import Cutoff, Horizon, JobName, Notify, TimeLimit, Train, with_form
from flows.job import load_job
from flows.night import Part, Scope, night, run_night
from flows.summary import NightSummary
from models.retraining import Policy

__all__ = ["NightSummary", "nightly", "run_night"]


def run_name() -> str:
    """Job and cutoff; where none was given, the moment for which the run was meant."""
    parameters = flow_run.parameters
    return f"{Path(parameters['job']).stem} {parameters.get('cutoff') or f'{_now():%Y-%m-%d %H:%M}'}"


def run_part(
    job: str | Path,
    part: Part,
    cutoff: str | None,
    train: Policy | None,
    *,
    changes: dict[str, dict[str, Any]] | None = None,
    now: datetime | None = None,
    tells: bool = True,
) -> NightSummary:
    """A night, or a part of it, within a flow; gives the state in which the flow ends."""
    loaded, usual = load_job(job, changes), load_job(job)
    summary = night(
        loaded,
        cutoff=cutoff,
        train=train,
        now=now or _now(),
        run_id=str(flow_run.id),
        # The next night wants a champion for the job's own horizon.
        scope=Scope(part, promotes=loaded.job.forecast == usual.job.forecast, tells=tells),
    )
    return Completed(message=summary.message, data=summary)  # type: ignore[return-value]  # Prefect unpacks the state


def _now() -> datetime:
    # After a worker was away, late nights run out of order: each takes the moment it was meant for.
    scheduled = flow_run.scheduled_start_time
    return datetime.fromtimestamp(scheduled.timestamp(), UTC) if scheduled else datetime.now(UTC)


@with_form
@flow(name="nightly", flow_run_name=run_name, persist_result=False)
def nightly(
    job: JobName,
    cutoff: Cutoff = None,
    train: Train = None,
    horizon: Horizon = None,
    time_limit: TimeLimit = None,
    notify: Notify = True,
) -> NightSummary:
    """Read a job's series, train or load its model, forecast, publish, score, alert and report."""
    changes = {
        "forecast": {} if horizon is None else {"horizon": horizon},
        "training": {} if time_limit is None else {"time_limit": time_limit},
    }
    return run_part(job, "nightly", cutoff, train, changes=changes, tells=notify)


@flow(name="nightly", flow_run_name=run_name, persist_result=False)
def night_of_file(
    job: str, cutoff: str | None = None, train: Policy | None = None, now: datetime | None = None
) -> NightSummary:
    """The same for the command line and for other flows, which know paths and may say what counts as now."""
    return run_part(job, "nightly", cutoff, train, now=now)
