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
    """Run a deployment and wait for its end. The run is cancelled where it is late, or this flow must end.

    Args:
        deployment: Names of the flow and of the deployment, as in "fit/fit".
        name: Name of the run in the UI.
        parameters: Paths and URLs, not contents: Prefect takes 512 KB at most.
        start_within: Seconds in which a worker must begin.
        limit: Seconds that the run may take from its beginning.

    Raises:
        SubFlowFailed: there is no such deployment, no worker begins, or the run takes too long or does not complete.
    """
    from prefect.client.orchestration import get_client
    from prefect.deployments import run_deployment
    from prefect.exceptions import ObjectNotFound

    try:
        # Prefect's own timeout would return a run that has not ended. Each attempt has a key of its own: for a known
        # key, Prefect returns the earlier run, failed or not.
        key = uuid4().hex
        begun = run_deployment(
            deployment, parameters=dict(parameters), flow_run_name=name, timeout=0, idempotency_key=key
        )
        run = cast("FlowRun", begun)  # a coroutine only in asynchronous code
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
        # The worker goes on while the server is away for a moment; only the time limit counts.
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
