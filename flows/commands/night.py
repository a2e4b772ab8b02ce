"""`run`, `check`, `backfill`, `report`: the nightly job, and what surrounds it."""

from __future__ import annotations

from typing import Any, Literal

import click

from flows.commands.answer import Answer, answers, moment_option, table

JOB = click.argument("job")
Train = Literal["auto", "scratch", "warm", "never"]
_POLICIES = click.Choice(["auto", "scratch", "warm", "never"])


@click.command()
@JOB
@moment_option("--cutoff", help="Last timestamp that the forecast may see, in the job's zone. Default: the newest.")
@click.option("--train", type=_POLICIES, help="Instead of the job's training.policy.")
@click.option(
    "--horizon",
    type=click.IntRange(1, 10_000),
    help="Steps ahead, instead of the job's. Another one takes a network of its own, which never becomes the champion.",
)
@click.option(
    "--time-limit",
    type=click.IntRange(1, 86_400),
    metavar="SECONDS",
    help="Seconds that training may take, instead of the job's training.time_limit.",
)
@answers
def run(job: str, cutoff: str | None, train: Train | None, horizon: int | None, time_limit: int | None) -> Answer:
    """Run the nightly job once: read, train, forecast, publish, score, alert, report."""
    from flows.job.job import load_job

    # A misspelt key is told at once, not after the numerics have been imported.
    load_job(job)
    from flows.night.night import run_night

    summary = run_night(job, cutoff=cutoff, train=train, horizon=horizon, time_limit=time_limit)
    return Answer(summary.text(), summary.to_dict())


@click.command()
@JOB
@answers
def check(job: str) -> Answer:
    """Read the job and its source, and report every problem with its remedy. Changes nothing."""
    from flows.night.check import check_job

    found = check_job(job)
    return Answer(found.text(), found.to_dict(), exit_code=2 if found.problems else 0)


@click.command()
@JOB
@moment_option("--from", "first", required=True, help="First cutoff.")
@moment_option("--to", "last", required=True, help="Last cutoff.")
@click.option(
    "--every",
    type=click.IntRange(1),
    help="Steps from one cutoff to the next. Default: every step; below a day, as the nights lie.",
)
@click.option("--train", type=_POLICIES, help="Instead of the job's training.policy.")
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="Processes that run nights at once, with --train never or scratch.",
)
@answers
def backfill(job: str, first: str, last: str, every: int | None, train: Train | None, workers: int) -> Answer:
    """Run the nightly job for each missed cutoff, oldest first, each as it would have run that night."""
    from flows.job.job import load_job

    load_job(job)
    from flows.night.backfill import backfill_nights

    done = backfill_nights(job, first, last, every=every, train=train, workers=workers)
    lines = [f"{night.cutoff:%Y-%m-%d %H:%M}  {night.message}" for night in done.nights]
    text = f"{len(done.nights)} nights run, {done.skipped} were there already.\n" + "\n".join(lines)
    return Answer(text.strip(), {"nights": [night.to_dict() for night in done.nights], "skipped": done.skipped})


@click.command()
@JOB
@moment_option("--cutoff", help="The night to report on. Default: the newest that was published.")
@answers
def report(job: str, cutoff: str | None) -> Answer:
    """Write the page of a night again: forecasts, scores, losses, alerts, with plots."""
    from flows.job.job import load_job
    from flows.job.moments import to_moment
    from flows.night.report import report_on

    loaded = load_job(job)
    file = report_on(loaded, None if cutoff is None else to_moment(cutoff, loaded.job.forecast.zone))
    return Answer(f"Wrote {file}", {"report": str(file)})


@click.command()
@JOB
@click.option("--cutoffs", type=click.IntRange(1, 1000), default=4, show_default=True, help="Number of cutoffs.")
@click.option(
    "--challengers",
    metavar="NAMES",
    default="",
    help="Compare with these too, separated by commas: auto_ets, theta. They need requirements/challengers.txt.",
)
@click.option(
    "--train",
    "how",
    type=click.Choice(["once", "each"]),
    default="once",
    show_default=True,
    help="Train once, at the first cutoff, or anew at each.",
)
@answers
def backtest(job: str, cutoffs: int, challengers: str, how: Literal["once", "each"]) -> Answer:
    """Train on an older past, forecast from several cutoffs, and compare with the seasonal naive and others."""
    from models.baselines.challengers import require_challengers

    # A name given twice is one column.
    names = list(dict.fromkeys(name.strip() for name in challengers.split(",") if name.strip()))
    # What is not installed is told at once, not after all that a backtest needs has been imported.
    require_challengers(names)
    from flows.night.backtest import backtest_job

    result = backtest_job(job, cutoffs, names, how)
    rows: list[dict[str, Any]] = result.rows()
    words = f"{result.cutoffs[0]:%Y-%m-%d %H:%M} to {result.cutoffs[-1]:%Y-%m-%d %H:%M}, {len(result.cutoffs)} cutoffs"
    figures = table(rows, ["metric", "model", "seasonal naive", *names, "n"], empty="Nothing to score.")
    compared = table(
        result.comparisons(),
        ["segment", "loss", "against", "the model's is", "better series", "series"],
        empty="Nothing to compare.",
    )
    parts = [
        f"{result.job}: {words}, {result.trained}",
        figures,
        *result.notes(),
        "",
        compared,
        f"Wrote {result.page.file}",
    ]
    return Answer("\n".join(parts), result.to_dict())
