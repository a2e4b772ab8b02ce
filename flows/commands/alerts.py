"""`alerts`: list the alerts of a job, answer them, and replay the alert settings over past nights."""

from __future__ import annotations

import getpass
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

import click

from flows.commands.answer import Answer, AnsweringGroup, answers, table
from models.counted import counted
from tasks.printing.safe import safe_line, safe_lines

JOB = click.argument("job")
REPLAYED = ["nights", "from", "to", "state", "degraded", "statistic", "effect", "loss", "baseline_loss"]


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

    Shows the verdicts by segment, quiet nights that follow each other in one line, and the alerts that would have been
    raised. Changes nothing. Use it after you edit `monitor` in the job file.
    """
    from flows.job.job import load_job
    from tasks.monitoring.replay import by_segment, episodes_of, replay_rule
    from tasks.night.ledger import Ledger

    loaded = load_job(job)
    nights = replay_rule(Ledger.opened(loaded.places), loaded.job)
    episodes = episodes_of(nights, loaded.job.forecast.zone)
    text = "\n\n".join(
        safe_line(segment) + "\n" + table([_folded(group) for group in groups], REPLAYED, empty="")
        for segment, groups in by_segment(nights).items()
    )
    text = (text or "No night has been scored yet.") + "\n\n"
    text += table(episodes, ["opened_at", "closed_at", "message"], empty="No alert would have been raised.")
    silent = sum(night["state"] == "not evaluated" for night in nights)
    degraded = sum(night["state"] == "degraded" for night in nights)
    text += f"\n{counted(len(nights), 'verdict')}: {degraded} degraded, {silent} not evaluated. "
    text += f"{counted(len(episodes), 'alert')}."
    return Answer(
        text, {"nights": nights, "degraded": degraded, "not_evaluated": silent, "alerts": episodes}, only_shows=True
    )


def _folded(group: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Nights of a segment as one row: their mean losses, and the largest statistic and the effect of that night."""
    from tasks.monitoring.replay import degraded_signals

    def known(name: str) -> list[float]:
        return [row[name] for row in group if row[name] is not None and row[name] == row[name]]

    means = {name: fmean(known(name)) if known(name) else None for name in ("loss", "baseline_loss")}
    highest = max(known("statistic"), default=None)
    effect = next((row["effect"] for row in group if highest is not None and row["statistic"] == highest), None)
    return {
        "nights": len(group),
        "from": group[0]["evaluated_on"],
        "to": group[-1]["evaluated_on"],
        "state": group[-1]["state"],
        "degraded": ", ".join(degraded_signals(group[-1])) or None,
        "statistic": highest,
        "effect": effect,
        **means,
    }
