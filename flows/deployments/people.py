"""What people decide, as Prefect flows: answers to alerts, and which version is the champion.

A form is made when its deployment is made, and cannot list what changes every night. So where a field is left empty,
the run pauses, and its page asks with a form that lists what there is now.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from prefect import flow, pause_flow_run
from prefect.exceptions import FlowPauseTimeout
from prefect.input import RunInput
from prefect.states import Completed
from pydantic import Field, create_model

from flows.deployments.decisions import (
    accept_alerts,
    acknowledge_alerts,
    job_to_change,
    promote_version,
    roll_back,
)
from flows.deployments.form import JobName, Person, Segment, Version, with_form
from models.counted import counted
from sql.errors import SourceError
from tasks.prefect_ui import label_run
from tasks.printing.errors import clean_errors
from tasks.printing.logs import guard_logs
from tasks.printing.safe import without_secrets
from tasks.report.screen import cell
from tasks.step import logger

# An automation takes a run for killed that is silent for ten minutes.
_PATIENCE_SECONDS, _LOOK_SECONDS = 540, 2
_MOST_LISTED = 100


class NoAnswer(ValueError):
    """Nobody chose in time."""


@with_form
@flow(name="acknowledge", flow_run_name="{job} by {person}", persist_result=False)
def acknowledge(job: JobName, person: Person, segment: Segment = None) -> int:
    """Acknowledge the open alerts of a segment: no more messages are sent about them."""
    return _answer(job, person, segment, "acknowledge")


@with_form
@flow(name="accept", flow_run_name="{job} by {person}", persist_result=False)
def accept(job: JobName, person: Person, segment: Segment = None) -> int:
    """Accept the new level of a segment as normal, which closes its alerts."""
    return _answer(job, person, segment, "accept")


@with_form
@flow(name="promote", flow_run_name="{job}", persist_result=False)
def promote(job: JobName, version: Version = None) -> str:
    """Make a version the champion; the next night forecasts with it."""
    guard_logs()
    with clean_errors():
        label_run(job_to_change(job)[0].job.name)
        chosen = version or _ask("Version", "The version that becomes the champion.", _versions(job))
        promote_version(job, chosen)
    return Completed(message=f"{chosen} is now the champion", data=chosen)  # type: ignore[return-value]  # Prefect unpacks the state


@with_form
@flow(name="rollback", flow_run_name="{job}", persist_result=False)
def rollback(job: JobName) -> str:
    """Make the champion before this one the champion again."""
    guard_logs()
    with clean_errors():
        label_run(job_to_change(job)[0].job.name)
        _, version = roll_back(job)
    return Completed(message=f"{version} is the champion again", data=version)  # type: ignore[return-value]  # see above


def _answer(job: str, person: str, segment: str | None, how: Literal["acknowledge", "accept"]) -> int:
    guard_logs()
    with clean_errors():
        label_run(job_to_change(job)[0].job.name)
        chosen = segment or _ask("Segment", "The group of series whose alerts you answer.", _open_alerts(job, how))
        answered = (acknowledge_alerts if how == "acknowledge" else accept_alerts)(job, chosen, person)
    told = "acknowledged" if how == "acknowledge" else "accepted as normal"
    message = (
        f"{counted(len(answered), 'alert')} {told} by {person}: {'; '.join(str(row['message']) for row in answered)}"
    )
    return Completed(message=without_secrets(message), data=len(answered))  # type: ignore[return-value]  # see above


def _open_alerts(job: str, how: str) -> dict[str, str]:
    """For each segment with open alerts, what they say: the whole job first."""
    ledger = job_to_change(job)[1]
    rows = [row for row in ledger.open_alerts() if how == "acknowledge" or row["signal"] not in ("input", "anomaly")]
    if not rows:
        raise SourceError(f"{ledger.job} has no open alert{' that can be accepted' if how == 'accept' else ''}.")
    segments = sorted({row["segment"] for row in rows}, key=lambda segment: (segment != "all", segment))
    return {
        segment: "; ".join(f"{row['message']} ({row['state']})" for row in rows if row["segment"] == segment)
        for segment in segments
    }


def _versions(job: str) -> dict[str, str]:
    """Every version beside the champion, newest first, with what is known of it."""
    ledger = job_to_change(job)[1]
    rows = [row for row in ledger.models() if row["stage"] != "champion"]
    if not rows:
        raise SourceError(f"{ledger.job} has no version beside its champion.")
    return {
        row["version"]: f"{row['stage']}, trained until {row['trained_until']:%Y-%m-%d}. {row['reason'] or ''}"
        for row in rows
    }


def _ask(title: str, question: str, options: Mapping[str, str]) -> str:
    """What a person chooses on the page of the run, which waits for it.

    Args:
        title: The title of the field.
        question: What is asked.
        options: What there is to choose, each with what is known of it.

    Raises:
        NoAnswer: nobody chose in time.
    """
    listed = dict([*without_secrets(dict(options)).items()][:_MOST_LISTED])
    # The values are known only now.
    choices: Any = Literal[tuple(listed)]
    form: Any = create_model(title, __base__=RunInput, choice=(choices, Field(title=title, description=question)))
    facts = "\n".join(f"- **{cell(name)}**: {cell(known)}" for name, known in listed.items())
    logger().info("Waiting for a choice: press Resume on the page of this run.\n%s", facts)
    try:
        answer: Any = pause_flow_run(
            wait_for_input=form.with_initial_data(description=facts),
            timeout=_PATIENCE_SECONDS,
            poll_interval=_LOOK_SECONDS,
        )
    except FlowPauseTimeout:
        raise NoAnswer(
            f"Nobody chose within {_PATIENCE_SECONDS // 60} minutes, so nothing has changed. Start the run again and "
            f"press Resume on its page, or name the {title.lower()} in the first form."
        ) from None
    return str(answer.choice)
