"""Run a deployment on another work pool as part of this flow, and wait for it to end."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID, uuid4

import httpx

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas import FlowRun, State

_POLL_SECONDS = 1.0


class SubFlowFailed(Exception):
    """The deployment did not do the work; the message says why."""


def run_deployed(
    deployment: str, name: str, parameters: Mapping[str, Any], *, start_within: float, limit: float
) -> None:
    """Run a deployment and wait for its end; cancelled where it is late, or this flow is told to end.

    Args:
        deployment: Its flow's name and its own, as in "fit/fit".
        name: What the run is called in the UI.
        parameters: References, never what they refer to: Prefect takes 512 KB.
        start_within: Seconds in which a worker has to begin.
        limit: Seconds that the run may take from then on.

    Raises:
        SubFlowFailed: there is no such deployment, no worker begins, or the run takes too long or does not complete.
    """
    from prefect.client.orchestration import get_client
    from prefect.deployments import run_deployment
    from prefect.exceptions import ObjectNotFound

    try:
        # Without a timeout of its own, which would give back a run that has not ended. And a key for each attempt: for
        # one that it knows, Prefect gives back the run of that time, failed or not.
        key = uuid4().hex
        begun = run_deployment(
            deployment, parameters=dict(parameters), flow_run_name=name, timeout=0, idempotency_key=key
        )
        run = cast("FlowRun", begun)  # a coroutine in asynchronous code alone
    except ObjectNotFound:
        raise SubFlowFailed(
            f"the Prefect server has no deployment {deployment}; `prefect deploy --all` makes it"
        ) from None
    except httpx.HTTPError as error:
        raise SubFlowFailed(f"the Prefect server took no run of {deployment}: {error}") from error
    with get_client(sync_client=True) as client:
        try:
            state = _final_state(client, run.id, name, start_within, limit)
        except BaseException:
            _cancel(client, run.id)
            raise
    if not state.is_completed():
        raise SubFlowFailed(f"the run {name!r} of {deployment} ended as {state.name}: {state.message}")


def _final_state(client: SyncPrefectClient, run_id: UUID, name: str, start_within: float, limit: float) -> State[Any]:
    due, begun = time.monotonic() + start_within, False
    while time.monotonic() < due:
        # A server that is away for a moment keeps nobody from working: the time that is left decides.
        with suppress(httpx.HTTPError):
            state = client.read_flow_run(run_id).state
            if state is not None and state.is_final():
                return state
            if state is not None and state.is_running() and not begun:
                due, begun = time.monotonic() + limit, True
        time.sleep(_POLL_SECONDS)
    if begun:
        raise SubFlowFailed(f"the run {name!r} had not ended {limit:g} s after it began, and was cancelled")
    raise SubFlowFailed(f"no worker has begun the run {name!r} within {start_within:g} s, and it was cancelled")


def _cancel(client: SyncPrefectClient, run_id: UUID) -> None:
    from prefect.states import Cancelling

    with suppress(httpx.HTTPError):
        client.set_flow_run_state(run_id, Cancelling())
