"""`models`: list, show, promote and roll back the versions of a job's model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from flows.commands.answer import Answer, AnsweringGroup, answers, outline, table
from tasks.printing.safe import safe_lines

if TYPE_CHECKING:
    from tasks.night.ledger import Ledger

JOB = click.argument("job")
_COLUMNS = ["version", "stage", "trained_until", "created_at", "promoted_at", "reason"]


@click.group(cls=AnsweringGroup)
def models() -> None:
    """List, show, promote and roll back model versions."""


@models.command("list")
@JOB
@answers
def list_models(job: str) -> Answer:
    """List all versions, newest first."""
    versions = _ledger(job).models()
    return Answer(table(versions, _COLUMNS, empty="No model version yet."), {"models": versions}, only_shows=True)


@models.command()
@JOB
@click.argument("version", required=False)
@answers
def show(job: str, version: str | None) -> Answer:
    """Show one version; the champion if no VERSION is given.

    Shows its metrics, where it is stored, and every night on which it was compared with a champion.
    """
    from flows.job.job import JobError

    ledger = _ledger(job)
    versions = ledger.models()
    for each in versions:
        if each["version"] == version or (version is None and each["stage"] == "champion"):
            evaluations = ledger.promotions(each["version"])
            lines = outline(each)
            lines += [
                f"{row['evaluated_on']:%Y-%m-%d %H:%M}, compared with {row['champion_version']}: {row['reason']}"
                for row in evaluations
            ]
            return Answer(safe_lines(lines), {**each, "promotion": evaluations}, only_shows=True)
    if not versions:
        raise JobError(f"{job} has no model version yet. Try `nightcast run`.")
    names = [each["version"] for each in versions[:5]]
    missing = f"has no model version {version}" if version else "has no champion"
    raise JobError(f"{job} {missing}. Its newest versions are {names}; name one of them.")


@models.command()
@JOB
@click.argument("version")
@answers
def promote(job: str, version: str) -> Answer:
    """Make a version the champion. The next night forecasts with it."""
    from flows.deployments.decisions import promote_version

    return Answer(f"{version} is now the champion of {promote_version(job, version)}.", {"champion": version})


@models.command()
@JOB
@answers
def rollback(job: str) -> Answer:
    """Make the previous champion the champion again. The next night forecasts with it."""
    from flows.deployments.decisions import roll_back

    name, version = roll_back(job)
    return Answer(f"{version} is the champion of {name} again.", {"champion": version})


def _ledger(job: str) -> Ledger:
    from flows.job.job import load_job
    from tasks.night.ledger import Ledger

    return Ledger.opened(load_job(job).places)
