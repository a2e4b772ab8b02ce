"""`schedule` and `serve`: when jobs run by themselves, and the server that runs them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from flows.commands.answer import Answer, answers, table
from flows.commands.automations import notify_option
from tasks.heavy_imports import heavy_import
from tasks.printing.safe import safe_lines

if TYPE_CHECKING:
    from flows.server.set_schedule import Listed

jobs_option = click.option(
    "--jobs",
    "folder",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Folder of the job files.  [default: $NIGHTCAST_JOBS, else jobs, else demo]",
)


@contextmanager
def _jobs_of(folder: Path | None) -> Iterator[None]:
    """A block in which this folder is the jobs folder, for the processes that it starts too."""
    before = os.environ.get("NIGHTCAST_JOBS")
    if folder is not None:
        os.environ["NIGHTCAST_JOBS"] = str(folder.absolute())
    try:
        yield
    finally:
        if folder is not None:
            os.environ.pop("NIGHTCAST_JOBS")
            os.environ.update({} if before is None else {"NIGHTCAST_JOBS": before})


@click.command()
@click.argument("job", required=False)
@click.argument("cron", required=False, nargs=-1)
@click.option("--off", is_flag=True, help="Take the job off its schedule.")
@click.option("--zone", metavar="Z", help="Zone of the clock, such as Europe/Madrid.  [default: that of the job]")
@jobs_option
@answers
def schedule(job: str | None, cron: tuple[str, ...], off: bool, zone: str | None, folder: Path | None) -> Answer:
    """Run a job by itself at set times, or list what runs when.

    CRON has five fields in quotes: minute, hour, day of the month, month, day of the week. '0 3 * * *' is every day at
    03:00, '30 6 * * mon-fri' every working day at 06:30, '0 4 1 * *' the first day of each month. Without CRON, lists
    the schedules with their next times.

    The schedules stand in schedules.yaml of the jobs folder. A running `nightcast serve` of that folder follows the
    file within seconds. Where PREFECT_API_URL names a server, the schedule is applied there at once. A schedule that
    was paused in the UI stays paused.
    """
    if len(cron) > 1:
        raise click.UsageError("Put the cron in quotes, or the shell replaces its stars: '0 3 * * *'.")
    if off and (cron or zone or not job):
        raise click.UsageError("--off takes a JOB, and no cron and no zone.")
    if zone and not cron:
        raise click.UsageError("--zone belongs to a CRON: nightcast schedule JOB '0 3 * * *' --zone Europe/Madrid.")
    with heavy_import("flows.server.set_schedule"):
        from flows.server.set_schedule import listed_schedules, put_off, put_on

    with _jobs_of(folder):
        if job is not None and (off or cron):
            done = put_off(job) if off else put_on(job, cron[0], zone)
            return Answer(safe_lines(done.lines()), done.to_dict())
        found = listed_schedules(job)
        return Answer(safe_lines(_listing(found)), {"schedules": [each.to_dict() for each in found]}, only_shows=True)


def _listing(found: Sequence[Listed]) -> list[str]:
    rows = [
        {
            "job": each.job,
            "cron": each.schedule.cron,
            "zone": each.schedule.time_zone,
            "next": ", ".join(f"{moment:%a %Y-%m-%d %H:%M}" for moment in each.next),
            "state": each.state,
        }
        for each in found
    ]
    empty = "No job is on a schedule. Write: nightcast schedule JOB '0 3 * * *'"
    return table(rows, ["job", "cron", "zone", "state", "next"], empty=empty).splitlines()


@click.command()
@click.option("--port", type=click.IntRange(1, 65535), default=4200, show_default=True, help="Port of UI and API.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--reports-port",
    type=click.IntRange(1, 65535),
    help="Port of the reports.  [default: one above --port]",
)
@click.option(
    "--reports-host",
    default="127.0.0.1",
    show_default=True,
    help="Address at which the reports are published: whoever reaches it can read them.",
)
@notify_option
@jobs_option
@answers
def serve(
    port: int, host: str, reports_port: int | None, reports_host: str, notify: str | None, folder: Path | None
) -> Answer:
    """Start a local Prefect server with workers and deployments, and publish the reports.

    Works in any folder that has a jobs folder. Reads the job files first, and tells what is wrong with one. Then starts
    the server with its UI, makes the work pools, the deployments and the schedules, and starts a worker for each pool.
    Publishes the reports of all jobs at an address of their own, read-only. Follows changes of the jobs and of their
    schedules. Ctrl-C stops everything.
    """
    with heavy_import("flows.server.serve"):
        from flows.server.serve import ReportsAddress, serve_until_interrupted

    reports_port = reports_port or (port + 1 if port < 65_535 else port - 1)
    with _jobs_of(folder):
        serve_until_interrupted(host, port, ReportsAddress(reports_host, reports_port), notify=notify)
    return Answer("Stopped.", {"stopped": True})
