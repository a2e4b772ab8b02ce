"""What people decide about a job: answers to its alerts, and which version is its champion. For command and forms."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from flows.job.job import LoadedJob, load_job
from flows.night.stages import update_home
from tasks.home.jobs import HOME
from tasks.monitoring.answer import accept_alert, acknowledge_alert
from tasks.night.ledger import Ledger
from tasks.night.owner import refuse_taken_name

Respond = Callable[[Ledger, str, str, datetime], list[dict[str, Any]]]


def job_to_change(job: str) -> tuple[LoadedJob, Ledger]:
    """A job that owns its name, and its ledger: a copied job file changes nothing of another job.

    Raises:
        JobError, NameTaken, SourceError: the file cannot be used, the name is another job's, or no night has run yet.
    """
    loaded = load_job(job)
    ledger = Ledger.opened(loaded.places)
    refuse_taken_name(loaded.job, loaded.places, loaded.path)
    return loaded, ledger


def acknowledge_alerts(job: str, segment: str, person: str) -> list[dict[str, Any]]:
    """Acknowledge the open alerts of a segment; gives them.

    Raises:
        SourceError: the segment has no open alert.
    """
    return _respond(job, segment, person, acknowledge_alert)


def accept_alerts(job: str, segment: str, person: str) -> list[dict[str, Any]]:
    """Accept the new level of a segment as normal; gives the alerts that this closes.

    Raises:
        SourceError: the segment has no open alert, or only one of its input.
    """
    return _respond(job, segment, person, accept_alert)


def promote_version(job: str, version: str) -> str:
    """Make a version the champion; gives the name of the job.

    Raises:
        SourceError: the job has no such version.
    """
    loaded, ledger = job_to_change(job)
    now = datetime.now(UTC)
    newest = max((row["cutoff"] for row in ledger.publications()), default=None)
    ledger.promote(version, now, served_from=newest, reason=f"promoted by hand on {now:%Y-%m-%d %H:%M} UTC")
    _show(loaded, ledger)
    return ledger.job


def roll_back(job: str) -> tuple[str, str]:
    """Make the previous champion the champion again; gives the name of the job, and the version.

    Raises:
        SourceError: there is no previous champion.
    """
    loaded, ledger = job_to_change(job)
    version = ledger.rollback(datetime.now(UTC))
    _show(loaded, ledger)
    return ledger.job, version


def _respond(job: str, segment: str, person: str, respond: Respond) -> list[dict[str, Any]]:
    loaded, ledger = job_to_change(job)
    answered = respond(ledger, segment, person, datetime.now(UTC))
    _show(loaded, ledger)
    return answered


def _show(loaded: LoadedJob, ledger: Ledger) -> None:
    """Let the job's home show what has changed."""
    update_home(loaded.places, ledger, loaded.job, loaded.places.report / HOME)
