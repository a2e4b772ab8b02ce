"""`alerts`: what got worse, who knows of it, and what the rule would have said before."""

from __future__ import annotations

import getpass

import click

from flows.commands.answer import Answer, answers, table

JOB = click.argument("job")


@click.group()
def alerts() -> None:
    """List, acknowledge and replay degradation alerts."""


@alerts.command("list")
@JOB
@click.option("--all", "closed_too", is_flag=True, help="Closed alerts too.")
@answers
def list_alerts(job: str, closed_too: bool) -> Answer:
    """Alerts that are open or acknowledged, newest first."""
    from flows.job import load_job
    from sql import history

    loaded = load_job(job)
    read = history.alerts if closed_too else history.open_alerts
    rows = read(loaded.places.ready_engine(), loaded.job.name)
    columns = ["opened_at", "segment", "signal", "state", "effect", "onset", "acknowledged_by", "closed_at"]
    return Answer(table(rows, columns, empty="No alert."), {"alerts": rows})


@alerts.command()
@JOB
@click.option("--segment", default="all", show_default=True, help="Which group of series.")
@click.option("--by", default=getpass.getuser, show_default="this user", help="Who knows of it.")
@answers
def acknowledge(job: str, segment: str, by: str) -> Answer:
    """Say that somebody knows of the open alert of a segment."""
    from datetime import UTC, datetime

    from flows.job import load_job
    from tasks.watch import acknowledge_alert

    loaded = load_job(job)
    alert = acknowledge_alert(loaded.places, segment, by, datetime.now(UTC))
    return Answer(f"{by} knows of the alert of {segment} opened {alert['opened_at']:%Y-%m-%d %H:%M}.", alert)


@alerts.command()
@JOB
@answers
def replay(job: str) -> Answer:
    """What the rule, as the job file now sets it, would have said on each past night. Changes nothing."""
    from flows.job import load_job
    from tasks.watch import replay_rule

    loaded = load_job(job)
    nights = replay_rule(loaded.places, loaded.job.monitor)
    columns = ["evaluated_on", "segment", "loss", "baseline_loss", "statistic", "limit", "effect", "state"]
    degraded = sum(night["state"] == "degraded" for night in nights)
    text = table(nights, columns, empty="No night was scored yet.") + f"\n{degraded} of {len(nights)} degraded."
    return Answer(text, {"nights": nights, "degraded": degraded})
