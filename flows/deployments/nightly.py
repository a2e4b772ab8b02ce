"""The night as a Prefect flow: the same definition, its steps as tasks on the run's page."""

from __future__ import annotations

import os
from contextvars import ContextVar
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import httpx
from prefect import flow
from prefect.runtime import flow_run
from prefect.states import Completed

from flows.deployments.form import Cutoff, Horizon, JobName, Notify, TimeLimit, Train, with_form
from flows.deployments.lost_server import note_lost
from flows.night.night import night, run_here
from flows.night.request import NightRequest
from flows.night.summary import NightSummary
from models.lifecycle.retraining import Policy
from tasks.printing.errors import clean_error
from tasks.printing.safe import without_secrets
from tasks.step import logger

# What the newest night of this process came to, for whoever cannot learn it from the server.
_OUTCOME: ContextVar[list[NightSummary | Exception]] = ContextVar("outcome")


def run_name() -> str:
    """Job and cutoff; where no cutoff was given, the moment for which the run was scheduled."""
    parameters = flow_run.parameters
    return f"{Path(parameters['job']).stem} {parameters.get('cutoff') or f'{_now():%Y-%m-%d %H:%M}'}"


def run_in_flow(request: NightRequest) -> NightSummary:
    """A night, or a part of it, within a flow; gives the state in which the flow ends."""
    outcome = _OUTCOME.get([])
    # Missed nights are flows of their own where the server is known to this process.
    run_missed = night_as_flow if os.environ.get("PREFECT_API_URL") else run_here
    try:
        summary = night(replace(request, now=request.now or _now()), str(flow_run.id), run_missed)
    except BaseException as error:
        # Prefect writes the message into the state of the run.
        clean = clean_error(error)
        if isinstance(clean, Exception):
            outcome.append(clean)
        if clean is error:
            raise
        raise clean from None
    outcome.append(summary)
    return Completed(message=without_secrets(summary.message), data=summary)  # type: ignore[return-value]  # Prefect unpacks the state


def night_as_flow(request: NightRequest) -> NightSummary:
    """Run a whole night as a flow. A server that goes away in the middle does not change how the night ends.

    Raises:
        Exception: what the night failed with.
    """
    outcome: list[NightSummary | Exception] = []
    token = _OUTCOME.set(outcome)
    cutoff = None if request.cutoff is None else str(request.cutoff)
    try:
        return night_of_file(str(request.job), cutoff, request.train, request.horizon, request.time_limit, request.now)
    except httpx.HTTPError as error:
        note_lost(error)
        if not outcome:
            logger().warning("The Prefect server took no run (%s): the night runs without one.", error)
            return run_here(request)
        if isinstance(outcome[-1], Exception):
            raise outcome[-1] from None
        logger().warning("The Prefect server does not know how the night ended (%s); its tables do.", error)
        return outcome[-1]
    finally:
        _OUTCOME.reset(token)


def _now() -> datetime:
    # After a worker was away, late nights run out of order: each counts the moment for which it was scheduled as now.
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
    return run_in_flow(NightRequest(job, "nightly", cutoff, train, horizon, time_limit, notify))


@flow(name="nightly", flow_run_name=run_name, persist_result=False)
def night_of_file(
    job: str,
    cutoff: str | None = None,
    train: Policy | None = None,
    horizon: int | None = None,
    time_limit: float | None = None,
    now: datetime | None = None,
) -> NightSummary:
    """The same for the command line and for other flows, which know paths and may name the moment that is now."""
    return run_in_flow(NightRequest(job, "nightly", cutoff, train, horizon, time_limit, now=now))
