"""`alerts`: what got worse, who knows of it, and what the rule would have said before."""

from __future__ import annotations

import getpass
from collections.abc import Callable
from typing import Any

import click

from flows.commands.answer import Answer, answers, table

JOB = click.argument("job")


@click.group()
def alerts() -> None:
    """List, acknowledge, accept and replay degradation alerts."""


@alerts.command("list")
@JOB
@click.option("--all", "closed_too", is_flag=True, help="Closed alerts too.")
@answers
def list_alerts(job: str, closed_too: bool) -> Answer:
    """Alerts that are open or acknowledged, newest first."""
    from flows.job.job import load_job
    from sql.output import history

    loaded = load_job(job)
    read = history.alerts if closed_too else history.open_alerts
    rows = read(loaded.places.ready_engine(), loaded.job.name)
    columns = ["opened_at", "segment", "signal", "state", "effect", "onset", "reason", "acknowledged_by", "closed_at"]
    return Answer(table(rows, columns, empty="No alert."), {"alerts": rows})


@alerts.command()
@JOB
@click.option("--segment", default="all", show_default=True, help="Which group of series.")
@click.option("--by", default=getpass.getuser, show_default="this user", help="Who knows of it.")
@answers
def acknowledge(job: str, segment: str, by: str) -> Answer:
    """Say that somebody knows of the open alerts of a segment: they are not repeated."""
    from tasks.monitoring.answer import acknowledge_alert

    return _answered(job, segment, by, acknowledge_alert, f"{by} knows of")


@alerts.command()
@JOB
@click.option("--segment", default="all", show_default=True, help="Which group of series; all: of the segments too.")
@click.option("--by", default=getpass.getuser, show_default="this user", help="Who says so.")
@answers
def accept(job: str, segment: str, by: str) -> Answer:
    """Say that what open alerts tell of is usual from now on: they end, and what gets worse than that is told again."""
    from tasks.monitoring.answer import accept_alert

    return _answered(job, segment, by, accept_alert, "usual from now on")


def _answered(job: str, segment: str, by: str, answer: Callable[..., list[dict[str, Any]]], words: str) -> Answer:
    """What somebody says of a segment's open alerts: told of each with the same words before its message."""
    from datetime import UTC, datetime

    from flows.job.job import load_job

    told = answer(load_job(job).places, segment, by, datetime.now(UTC))
    return Answer("\n".join(f"{words}: {alert['message']}" for alert in told), {"alerts": told})


@alerts.command()
@JOB
@answers
def replay(job: str) -> Answer:
    """What the rule, as the job file now sets it, would have said on each past night. Changes nothing."""
    from flows.job.job import load_job
    from tasks.monitoring.replay import episodes_of, replay_rule

    loaded = load_job(job)
    zone = loaded.job.forecast.zone
    nights = replay_rule(loaded.places, loaded.job.monitor, zone, loaded.job.coverage_meant)
    episodes = episodes_of(nights, zone)
    columns = ["evaluated_on", "segment", "loss", "baseline_loss", "statistic", "effect", "detectable", "state"]
    text = table(nights, columns, empty="No night was scored yet.") + "\n\n"
    text += table(episodes, ["opened_at", "closed_at", "message"], empty="The rule would have raised no alert.")
    silent = sum(night["state"] == "not evaluated" for night in nights)
    degraded = sum(night["state"] == "degraded" for night in nights)
    text += f"\n{degraded} of {len(nights)} degraded, {silent} not evaluated; {len(episodes)} alerts."
    return Answer(text, {"nights": nights, "degraded": degraded, "not_evaluated": silent, "alerts": episodes})
