"""The night as a Prefect flow: the same definition, its steps as tasks on the run's page."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import httpx
from prefect import flow
from prefect.runtime import flow_run
from prefect.states import Completed

from flows.deployments.form import Cutoff, Horizon, JobName, Notify, TimeLimit, Train, with_form
from flows.deployments.lost_server import note_lost
from flows.night.night import for_this_run, night, run_night
from flows.night.summary import NightSummary
from models.lifecycle.retraining import Policy
from tasks.night.night import Part
from tasks.step import logger

__all__ = ["NightSummary", "nightly", "run_night"]

# What the newest night of this process came to, for whoever cannot learn it from the server.
_OUTCOME: ContextVar[list[NightSummary | Exception]] = ContextVar("outcome")


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
    horizon: int | None = None,
    time_limit: float | None = None,
    now: datetime | None = None,
    tells: bool = True,
) -> NightSummary:
    """A night, or a part of it, within a flow; gives the state in which the flow ends."""
    outcome = _OUTCOME.get([])
    try:
        loaded, scope = for_this_run(job, horizon, time_limit, part)
        scope = replace(scope, tells=tells)
        run_id = str(flow_run.id)
        summary = night(loaded, cutoff=cutoff, train=train, now=now or _now(), run_id=run_id, scope=scope)
    except Exception as error:
        outcome.append(error)
        raise
    outcome.append(summary)
    return Completed(message=summary.message, data=summary)  # type: ignore[return-value]  # Prefect unpacks the state


def night_as_flow(
    job: str,
    cutoff: str | None,
    train: Policy | None,
    horizon: int | None,
    time_limit: float | None,
    now: datetime | None,
) -> NightSummary:
    """As `night_of_file`; a server that goes away in the middle changes nothing of what becomes of the night.

    Raises:
        Exception: what the night failed with.
    """
    outcome: list[NightSummary | Exception] = []
    token = _OUTCOME.set(outcome)
    try:
        return night_of_file(job, cutoff, train, horizon, time_limit, now)
    except httpx.HTTPError as error:
        note_lost(error)
        if not outcome:
            loaded, scope = for_this_run(job, horizon, time_limit)
            logger().warning("The Prefect server took no run (%s): the night runs without one.", error)
            now = now or datetime.now(UTC)
            return night(loaded, cutoff=cutoff, train=train, now=now, run_id=uuid4().hex, scope=scope)
        if isinstance(outcome[-1], Exception):
            raise outcome[-1] from None
        logger().warning("The Prefect server does not know how the night ended (%s); its tables do.", error)
        return outcome[-1]
    finally:
        _OUTCOME.reset(token)


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
    return run_part(job, "nightly", cutoff, train, horizon=horizon, time_limit=time_limit, tells=notify)


@flow(name="nightly", flow_run_name=run_name, persist_result=False)
def night_of_file(
    job: str,
    cutoff: str | None = None,
    train: Policy | None = None,
    horizon: int | None = None,
    time_limit: float | None = None,
    now: datetime | None = None,
) -> NightSummary:
    """The same for the command line and for other flows, which know paths and may say what counts as now."""
    return run_part(job, "nightly", cutoff, train, horizon=horizon, time_limit=time_limit, now=now)
