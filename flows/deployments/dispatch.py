"""Run a night: as a Prefect flow where a server answers, else here as plain functions."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

from flows.night.night import run_here
from flows.night.request import NightRequest
from flows.night.summary import NightSummary
from models.lifecycle.retraining import Policy
from tasks.step import inside_flow, logger


def run_night(
    job: str | Path,
    *,
    cutoff: datetime | str | None = None,
    train: Policy | None = None,
    horizon: int | None = None,
    time_limit: float | None = None,
    now: datetime | None = None,
) -> NightSummary:
    """Run a whole night of a job; the arguments are those of a `NightRequest`.

    Raises:
        JobError: the job's file cannot be used.
        Exception: what the night failed with.
    """
    return dispatch(NightRequest(job, "nightly", cutoff, train, horizon, time_limit, now=now))


def dispatch(request: NightRequest) -> NightSummary:
    """Run a night as a Prefect flow where PREFECT_API_URL is set and that server answers, else as plain functions."""
    if not _server_answers():
        return run_here(request)
    # Prefect takes 2 s to import.
    from flows.deployments.nightly import night_as_flow

    return night_as_flow(request)


def _server_answers() -> bool:
    """Whether there is a Prefect server; the night does not wait for one that is away."""
    api = os.environ.get("PREFECT_API_URL")
    if not api or inside_flow():
        return bool(api)
    import httpx

    try:
        httpx.get(f"{api}/health", timeout=10)
    except httpx.TransportError as error:
        logger().warning("No Prefect server answers at %s (%s): the night runs without one.", api, error)
        return False
    return True
