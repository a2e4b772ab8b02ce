"""`nightcast automations`: what the Prefect server does by itself."""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta

import click

from flows.commands.answer import Answer, AnsweringGroup, answers, table

notify_option = click.option(
    "--notify",
    metavar="TARGET",
    envvar="NIGHTCAST_NOTIFY",
    help="Who is told when something is wrong: an http(s) URL that takes JSON with title and text, or a notification "
    "block of the server as type/name. Default: $NIGHTCAST_NOTIFY, else as before.",
)


@click.group(cls=AnsweringGroup)
def automations() -> None:
    """What the Prefect server does by itself: tell a person, and let go of runs that were killed."""


@automations.command()
@notify_option
@click.option("--api", metavar="URL", envvar="PREFECT_API_URL", help="The server. Default: $PREFECT_API_URL.")
@click.option(
    "--silent-after",
    type=click.FloatRange(min=0.2),
    default=10,
    show_default=True,
    help="Minutes without a sign of life after which a run counts as killed.",
)
@click.option(
    "--deadline",
    type=click.FloatRange(min=0.01),
    default=28,
    show_default=True,
    help="Hours after a night's success by which the next must have succeeded.",
)
@answers
def install(notify: str | None, api: str | None, silent_after: float, deadline: float) -> Answer:
    """Install the automations of this project on a server, or bring them up to date."""
    if not api:
        raise click.UsageError("No server is named. Set PREFECT_API_URL, or give --api http://host:4200/api.")
    from flows.server.automations import Patience
    from flows.server.automations import install as install_on

    minutes = timedelta(minutes=1)
    patience = Patience(silent_after * minutes, deadline * 60 * minutes)
    done = install_on(api, notify, patience)
    rows = [asdict(each) | {"paused": "" if each.enabled else "paused"} for each in done]
    text = table(rows, ["name", "change", "paused"], empty="")
    if not any(each.tells for each in done):
        text += "\nNobody is told of anything yet: give --notify, or set NIGHTCAST_NOTIFY."
    return Answer(text, {"automations": [asdict(each) for each in done]})
