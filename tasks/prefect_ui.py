"""What Prefect's UI shows of a run: its name and tags, its progress, and tables and texts on its page.

All of it is only for people. Outside of a flow nothing is done, and a server that does not answer never fails a night.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from models.audit.build_panel import Audit
from tasks.printing.safe import without_secrets
from tasks.step import inside_flow, logger

if TYPE_CHECKING:
    from uuid import UUID

TAG = "nightcast"
SECONDS_BETWEEN_UPDATES = 2.0
_job: ContextVar[str] = ContextVar("job", default="job")
# After one failure the server is not asked again in the same run: each request may take its whole time limit.
_failures: ContextVar[list[str] | None] = ContextVar("failures", default=None)


def label_run(job: str, cutoff: str = "") -> None:
    """Tag the run with its job, and name it after the cutoff once that is known."""
    if not inside_flow():
        return
    _job.set(job)
    if not cutoff:
        _failures.set([])
    _ask_server(_label, job, cutoff)


def show_progress(stage: str) -> Callable[[float, str], None]:
    """Show a progress bar of a stage on the run's page.

    The bar appears with its first update after some seconds, or at the end. So a short stage costs one request.

    Returns:
        A function that updates the bar, given the share that is done and a description of it.
    """
    bars: list[UUID] = []
    last = time.monotonic()

    def update(share: float, description: str) -> None:
        nonlocal last
        if share < 1 and time.monotonic() - last < SECONDS_BETWEEN_UPDATES:
            return
        last, percent = time.monotonic(), 100.0 * min(1.0, share)
        if bars:
            _ask_server(_move_bar, bars[0], percent, description)
        elif (bar := _ask_server(_new_bar, stage, percent, description)) is not None:
            bars.append(bar)

    return update


def show_input(audit: Audit) -> None:
    """Show the findings in the input as a table."""
    table = [
        {
            "finding": each.kind,
            "count": each.count,
            "for example": ", ".join(each.examples),
            "action": each.action,
            "setting": each.setting,
        }
        for each in audit.findings
    ]
    since = f" from {audit.rows_since:%Y-%m-%d} on" if audit.rows_since else ""
    description = (
        f"{audit.rows_read} rows{since} of {audit.series} series, {audit.observed} observed values up to the cutoff "
        f"{audit.cutoff:%Y-%m-%d %H:%M} UTC. {'Findings:' if table else 'No findings.'}"
    )
    show_table("input", table, description)


def show_table(name: str, table: list[dict[str, Any]], description: str) -> None:
    """Show a table on the run's page."""
    _ask_server(_new_table, name, table, description)


def show_text(name: str, text: str, description: str) -> None:
    """Show a Markdown text on the run's page."""
    _ask_server(_new_text, name, text, description)


def show_link(name: str, address: str, description: str) -> None:
    """Show a link on the run's page."""
    _ask_server(_new_link, name, address, description)


def _ask_server(request: Callable[..., Any], *args: Any) -> Any:
    """The answer to a request; None outside of a flow, and if the server does not accept it."""
    failures = _failures.get()
    if not inside_flow() or failures:
        return None
    try:
        return request(*without_secrets(args))
    except Exception as error:
        logger().warning("The run's page in Prefect stays incomplete, and the night goes on: %s", error)
        if failures is not None:
            failures.append(str(error))
        return None


def _key(name: str) -> str:
    """The key of an artifact, which may contain only small letters, digits and dashes."""
    return f"{_job.get()}-{name}".replace("_", "-")


def _label(job: str, cutoff: str) -> None:
    from prefect.client.orchestration import get_client
    from prefect.context import FlowRunContext

    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        return
    run = context.flow_run
    run.tags = sorted({*run.tags, TAG, job})
    run.name = f"{job} {cutoff}" if cutoff else run.name
    with get_client(sync_client=True) as client:
        client.update_flow_run(run.id, name=run.name, tags=run.tags)


def _new_bar(stage: str, percent: float, description: str) -> UUID:
    from prefect.artifacts import create_progress_artifact

    return create_progress_artifact(percent, key=_key(stage), description=description)  # type: ignore[return-value]


def _move_bar(identity: UUID, percent: float, description: str) -> None:
    from prefect.artifacts import update_progress_artifact

    update_progress_artifact(identity, percent, description=description)


def _new_table(name: str, table: list[dict[str, Any]], description: str) -> None:
    from prefect.artifacts import create_table_artifact

    create_table_artifact(table, key=_key(name), description=description)


def _new_text(name: str, text: str, description: str) -> None:
    from prefect.artifacts import create_markdown_artifact

    create_markdown_artifact(text, key=_key(name), description=description)


def _new_link(name: str, address: str, description: str) -> None:
    from prefect.artifacts import create_link_artifact

    create_link_artifact(address, key=_key(name), description=description)
