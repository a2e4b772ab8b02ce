"""What Prefect's UI shows of a run: its name and tags, how far it is, and the night on one screen.

All of it is for people only: outside of a flow nothing is done, and a server that takes nothing never fails a night.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from models.audit.build_panel import Audit
from tasks.step import inside_flow, logger

if TYPE_CHECKING:
    from uuid import UUID

TAG = "nightcast"
SECONDS_BETWEEN_UPDATES = 2.0
_job: ContextVar[str] = ContextVar("job", default="job")
# A server that failed once is not asked again in the same run: each request may take its whole time limit.
_lost: ContextVar[list[str] | None] = ContextVar("lost", default=None)


def label_run(job: str, cutoff: str = "") -> None:
    """Tag the run with its job, and name it after its cutoff as soon as that is known."""
    if not inside_flow():
        return
    _job.set(job)
    if not cutoff:
        _lost.set([])
    _show(_label, job, cutoff)


def show_progress(stage: str) -> Callable[[float, str], None]:
    """A progress bar of a stage on the run's page; gives what tells it the share done and where that is, in words.

    A stage that is over at once is one request to the server: its bar appears when there is something to tell.
    """
    bars: list[UUID] = []
    last = time.monotonic()

    def tell(share: float, words: str) -> None:
        nonlocal last
        if share < 1 and time.monotonic() - last < SECONDS_BETWEEN_UPDATES:
            return
        last, percent = time.monotonic(), 100.0 * min(1.0, share)
        if bars:
            _show(_move_bar, bars[0], percent, words)
        elif (bar := _show(_new_bar, stage, percent, words)) is not None:
            bars.append(bar)

    return tell


def show_input(audit: Audit) -> None:
    """What was odd about the input, as a table."""
    table = [
        {
            "found": each.kind,
            "count": each.count,
            "for example": ", ".join(each.examples),
            "what the night did": each.action,
            "set by": each.setting,
        }
        for each in audit.findings
    ]
    since = f" from {audit.rows_since:%Y-%m-%d} on" if audit.rows_since else ""
    words = (
        f"{audit.rows_read} rows{since} of {audit.series} series, {audit.observed} observed values up to the cutoff "
        f"{audit.cutoff:%Y-%m-%d %H:%M} UTC. {'What was odd:' if table else 'Nothing odd was found.'}"
    )
    show_table("input", table, words)


def show_table(name: str, table: list[dict[str, Any]], words: str) -> None:
    """A table on the run's page."""
    _show(_new_table, name, table, words)


def show_text(name: str, text: str, words: str) -> None:
    """A text in Markdown on the run's page."""
    _show(_new_text, name, text, words)


def _show(make: Callable[..., Any], *args: Any) -> Any:
    """What `make` gives; None outside of a flow, and where the server does not take it."""
    lost = _lost.get()
    if not inside_flow() or lost:
        return None
    try:
        return make(*args)
    except Exception as error:
        logger().warning("The run's page lacks something, the night goes on: %s", error)
        if lost is not None:
            lost.append(str(error))
        return None


def _key(name: str) -> str:
    """An artifact's key: small letters, digits and dashes only."""
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


def _new_bar(stage: str, percent: float, words: str) -> UUID:
    from prefect.artifacts import create_progress_artifact

    return create_progress_artifact(percent, key=_key(stage), description=words)  # type: ignore[return-value]


def _move_bar(identity: UUID, percent: float, words: str) -> None:
    from prefect.artifacts import update_progress_artifact

    update_progress_artifact(identity, percent, description=words)


def _new_table(name: str, table: list[dict[str, Any]], words: str) -> None:
    from prefect.artifacts import create_table_artifact

    create_table_artifact(table, key=_key(name), description=words)


def _new_text(name: str, text: str, words: str) -> None:
    from prefect.artifacts import create_markdown_artifact

    create_markdown_artifact(text, key=_key(name), description=words)
