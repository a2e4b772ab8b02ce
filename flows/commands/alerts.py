"""`alerts`: list the alerts of a job, answer them, and replay the alert settings over past nights."""

from __future__ import annotations

import getpass
from typing import Any

import click

from flows.commands.answer import Answer, AnsweringGroup, answers, table
from models.counted import counted
from tasks.printing.safe import safe_lines

JOB = click.argument("job")


@click.group(cls=AnsweringGroup)
def alerts() -> None:
    """List, answer and replay a job's degradation alerts."""


@alerts.command("list")
@JOB
@click.option("--all", "closed_too", is_flag=True, help="Include closed alerts.")
@answers
def list_alerts(job: str, closed_too: bool) -> Answer:
    """List the alerts that are not closed, newest first."""
    from flows.job.job import load_job
    from models.monitoring.signals import measure_effect
    from tasks.night.ledger import Ledger

    ledger = Ledger.opened(load_job(job).places)
    rows = ledger.alerts() if closed_too else ledger.open_alerts()
    columns = ["opened_at", "segment", "signal", "state", "effect", "onset", "reason", "acknowledged_by", "closed_at"]
    shown = [
        row | {"effect": None if row["effect"] is None else measure_effect(row["signal"], row["effect"])}
        for row in map(dict, rows)
    ]
    return Answer(table(shown, columns, empty="No alert."), {"alerts": rows}, only_shows=True)


@alerts.command()
@JOB
@click.option("--segment", default="all", show_default=True, help="The group of series.")
@click.option("--by", "person", default=getpass.getuser, show_default="this user", help="The name to record.")
@answers
def acknowledge(job: str, segment: str, person: str) -> Answer:
    """Acknowledge the open alerts of a segment.

    An acknowledged alert stays open until the figures recover, but no more messages are sent about it.
    """
    from flows.deployments.decisions import acknowledge_alerts

    return _told(acknowledge_alerts(job, segment, person), f"acknowledged by {person}")


@alerts.command()
@JOB
@click.option(
    "--segment", default="all", show_default=True, help="The group of series; `all` includes the open alerts of others."
)
@click.option("--by", "person", default=getpass.getuser, show_default="this user", help="The name to record.")
@answers
def accept(job: str, segment: str, person: str) -> Answer:
    """Accept the new level of a segment as normal.

    Closes the segment's open alerts. Later nights are compared with the level since the alert began, so only a further
    degradation raises an alert again.
    """
    from flows.deployments.decisions import accept_alerts

    return _told(accept_alerts(job, segment, person), "accepted as normal")


def _told(answered: list[dict[str, Any]], label: str) -> Answer:
    """The alerts that were answered, each after the label."""
    return Answer(safe_lines(f"{label}: {alert['message']}" for alert in answered), {"alerts": answered})


@alerts.command()
@JOB
@answers
def replay(job: str) -> Answer:
    """Apply the job file's current alert settings to all stored nights.

    Shows each night's verdicts and the alerts that would have been raised. Changes nothing. Use it after you edit
    `monitor` in the job file.
    """
    from flows.job.job import load_job
    from tasks.monitoring.replay import episodes_of, replay_rule
    from tasks.night.ledger import Ledger

    loaded = load_job(job)
    nights = replay_rule(Ledger.opened(loaded.places), loaded.job)
    episodes = episodes_of(nights, loaded.job.forecast.zone)
    columns = ["evaluated_on", "segment", "loss", "baseline_loss", "statistic", "effect", "detectable_effect", "state"]
    text = table(nights, columns, empty="No night has been scored yet.") + "\n\n"
    text += table(episodes, ["opened_at", "closed_at", "message"], empty="No alert would have been raised.")
    silent = sum(night["state"] == "not evaluated" for night in nights)
    degraded = sum(night["state"] == "degraded" for night in nights)
    text += f"\n{counted(len(nights), 'verdict')}: {degraded} degraded, {silent} not evaluated. "
    text += f"{counted(len(episodes), 'alert')}."
    return Answer(
        text, {"nights": nights, "degraded": degraded, "not_evaluated": silent, "alerts": episodes}, only_shows=True
    )
