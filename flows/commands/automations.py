"""`automations`: what a Prefect server does by itself."""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta

import click

from flows.commands.answer import Answer, AnsweringGroup, answers, table

notify_option = click.option(
    "--notify",
    metavar="TARGET",
    envvar="NIGHTCAST_NOTIFY",
    help="Where to send a message when something is wrong: an http(s) URL that accepts JSON with `title` and `text`, "
    "or a notification block of the server as type/name. Default: $NIGHTCAST_NOTIFY, or the target in use so far.",
)


@click.group(cls=AnsweringGroup)
def automations() -> None:
    """Let a Prefect server report failures and mark killed runs."""


@automations.command()
@notify_option
@click.option(
    "--api", metavar="URL", envvar="PREFECT_API_URL", help="The API of the server. Default: $PREFECT_API_URL."
)
@click.option(
    "--silent-after",
    type=click.FloatRange(min=0.2, max=10_080),
    default=10,
    show_default=True,
    help="Minutes without a heartbeat after which a run is marked as crashed.",
)
@click.option(
    "--deadline",
    type=click.FloatRange(min=0.01, max=87_840),
    default=28,
    show_default=True,
    help="Hours after a successful night within which the next night must succeed.",
)
@answers
def install(notify: str | None, api: str | None, silent_after: float, deadline: float) -> Answer:
    """Install or update the automations on a server.

    They send a message when a run fails, crashes or is late, when no night succeeds in time, when the loss degrades or
    recovers, and when a source becomes stale. They also mark runs as crashed whose process was killed. Installing them
    again changes only what differs; an automation that you paused stays paused.
    """
    if not api:
        raise click.UsageError("No server given. Set PREFECT_API_URL, or pass --api http://host:4200/api.")
    from flows.server.automations import Patience
    from flows.server.automations import install as install_on

    minutes = timedelta(minutes=1)
    patience = Patience(silent_after * minutes, deadline * 60 * minutes)
    done = install_on(api, notify, patience)
    rows = [asdict(each) | {"paused": "" if each.enabled else "paused"} for each in done]
    text = table(rows, ["name", "change", "paused"], empty="")
    if not any(each.tells for each in done):
        text += "\nNo messages are sent yet. Pass --notify, or set NIGHTCAST_NOTIFY."
    return Answer(text, {"automations": [asdict(each) for each in done]})
