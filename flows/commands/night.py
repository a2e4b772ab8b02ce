"""`run`, `check`, `backfill`, `report`, `backtest`: the verbs that run or evaluate a job."""

from __future__ import annotations

from typing import Any, Literal

import click

from flows.commands.answer import Answer, answers, moment_option, table
from models.counted import counted
from tasks.heavy_imports import heavy_import
from tasks.interrupts import Interrupted, cause_of
from tasks.printing.safe import safe_lines

JOB = click.argument("job")
Train = Literal["auto", "scratch", "warm", "never"]
_POLICIES = click.Choice(["auto", "scratch", "warm", "never"])


@click.command()
@JOB
@moment_option(
    "--cutoff",
    help="The last timestamp that the forecast may see, in the job's time zone. Default: the newest in the source.",
)
@click.option("--train", type=_POLICIES, help="When to train. Default: the job's training.policy.")
@click.option(
    "--horizon",
    type=click.IntRange(1, 10_000),
    help="Number of steps to forecast. Default: the job's. For any other number a separate network is trained, which "
    "never becomes the champion.",
)
@click.option(
    "--time-limit",
    type=click.IntRange(1, 86_400),
    metavar="SECONDS",
    help="How long training may take. Default: the job's training.time_limit.",
)
@answers
def run(job: str, cutoff: str | None, train: Train | None, horizon: int | None, time_limit: int | None) -> Answer:
    """Run one night of a job.

    Reads the source, trains if training is due, forecasts every series, publishes the forecasts, scores earlier
    forecasts against the actuals that have arrived, raises alerts, and writes a report. Running a night again replaces
    its rows.

    If PREFECT_API_URL is set and the server answers, the night runs as a Prefect flow.
    """
    with heavy_import("flows.deployments.dispatch"):
        from flows.job.job import load_job

        # Report a misspelt key at once, not after the seconds that the next import takes.
        load_job(job)
        from flows.deployments.dispatch import run_night

    summary = run_night(job, cutoff=cutoff, train=train, horizon=horizon, time_limit=time_limit)
    return Answer(summary.text(), summary.to_dict())


@click.command()
@JOB
@answers
def check(job: str) -> Answer:
    """Check a job, its source and its places without changing anything.

    Reads the job file and the whole source, tries what a night will write and takes it back, and tells you how to fix
    each problem it finds. The exit code is 2 if there is a problem.
    """
    with heavy_import("flows.night.check"):
        from flows.night.check import check_job

    found = check_job(job)
    return Answer(found.text(), found.to_dict(), exit_code=2 if found.problems else 0, only_shows=True)


@click.command()
@JOB
@moment_option("--from", "first", required=True, help="The first cutoff.")
@moment_option("--to", "last", required=True, help="The last cutoff.")
@click.option(
    "--every",
    type=click.IntRange(1, 100_000),
    help="Steps from one cutoff to the next. Default: 1, or for steps shorter than a day, the usual cutoffs.",
)
@click.option("--train", type=_POLICIES, help="When to train. Default: the job's training.policy.")
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="How many nights to run at once. More than one needs --train never or scratch.",
)
@answers
def backfill(job: str, first: str, last: str, every: int | None, train: Train | None, workers: int) -> Answer:
    """Run the missed nights of a period, oldest first.

    Each night sees only what was known at its cutoff. Nights that are already published are skipped, so you can start
    an interrupted backfill again.
    """
    with heavy_import("flows.night.backfill"):
        from flows.job.job import load_job

        load_job(job)
        from flows.deployments.dispatch import dispatch
        from flows.night.backfill import Span, backfill_nights

    done = backfill_nights(job, Span(first, last, every), dispatch, train=train, workers=workers)
    lines = [f"{night.cutoff:%Y-%m-%d %H:%M}  {night.message}" for night in done.nights]
    text = f"{counted(len(done.nights), 'night')} run, {done.skipped} already published.\n" + safe_lines(lines)
    return Answer(text.strip(), {"nights": [night.to_dict() for night in done.nights], "skipped": done.skipped})


@click.command()
@JOB
@moment_option("--cutoff", help="The cutoff of the night. Default: the newest published night.")
@click.option("--series", "series_id", metavar="ID", help="Write the page of this series of the night instead.")
@answers
def report(job: str, cutoff: str | None, series_id: str | None) -> Answer:
    """Write the HTML report of a published night again, and the job's home: the page over all its nights.

    With --series, write the page of one series of that night, which exists also where the night has too many series to
    show each of them on one page.
    """
    with heavy_import("flows.night.report"):
        from flows.job.job import load_job
        from flows.job.moments import to_moment
        from flows.night.report import report_on, report_on_series

    loaded = load_job(job)
    moment = None if cutoff is None else to_moment(cutoff, loaded.job.forecast.zone)
    if series_id is not None:
        page = report_on_series(loaded, moment, series_id)
        return Answer(f"Wrote {page}", {"report": str(page), "series_id": series_id})
    wrote = report_on(loaded, moment)
    return Answer(f"Wrote {wrote.night}\nWrote {wrote.home}", {"report": str(wrote.night), "home": str(wrote.home)})


@click.command()
@JOB
@click.option("--cutoffs", type=click.IntRange(1, 1000), default=4, show_default=True, help="How many cutoffs.")
@click.option(
    "--challengers",
    metavar="NAMES",
    default="",
    help="Further methods to compare with, separated by commas: auto_ets, theta. They need the package statsforecast.",
)
@click.option(
    "--train",
    "how",
    type=click.Choice(["once", "each"]),
    default="once",
    show_default=True,
    help="Train once, at the first cutoff, or again at each cutoff.",
)
@answers
def backtest(job: str, cutoffs: int, challengers: str, how: Literal["once", "each"]) -> Answer:
    """Evaluate the model on past cutoffs against simple methods.

    Trains on the older history, forecasts from several past cutoffs one horizon apart, and compares the errors with
    those of the seasonal naive. Writes an HTML page beside the job's reports. Publishes no forecasts, and keeps no
    model.
    """
    from models.baselines.challengers import require_challengers

    # A name given twice makes one column.
    names = list(dict.fromkeys(name.strip() for name in challengers.split(",") if name.strip()))
    # Report a missing package at once, not after the seconds that the next import takes.
    require_challengers(names)
    with heavy_import("flows.night.backtest"):
        from flows.night.backtest import backtest_job

    try:
        result = backtest_job(job, cutoffs, names, how)
    except KeyboardInterrupt as interrupt:
        cause = cause_of(interrupt)
        told = f"Interrupted by {cause}. The backtest has no results; it publishes nothing."
        raise Interrupted(told, {"published": []}, cause) from None
    rows: list[dict[str, Any]] = result.rows()
    period = f"{result.cutoffs[0]:%Y-%m-%d %H:%M} to {result.cutoffs[-1]:%Y-%m-%d %H:%M}"
    figures = table(rows, ["metric", "model", "seasonal naive", *names, "n"], empty="Nothing to score.")
    compared = table(
        result.comparisons(),
        ["segment", "loss", "against", "the model's is", "better series", "series"],
        empty="Nothing to compare.",
    )
    parts = [
        f"{result.job}: {period}, {counted(len(result.cutoffs), 'cutoff')}, {result.trained}",
        figures,
        *result.notes(),
        "",
        compared,
        f"Wrote {result.page.file}",
    ]
    return Answer("\n".join(parts), result.to_dict())
