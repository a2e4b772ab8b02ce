"""`explain`, `what-if`: what people ask of a published night."""

from __future__ import annotations

import getpass

import click

from flows.commands.answer import Answer, answers, moment_option, table
from tasks.heavy_imports import heavy_import
from tasks.printing.safe import safe_lines

JOB = click.argument("job")
# More lines than a person reads are for --json and the table.
_MOST_LINES = 60


@click.command()
@JOB
@click.option("--series", "series_id", metavar="ID", required=True, help="The series.")
@click.option("--step", type=click.IntRange(1, 100_000), help="The step ahead. Default: the mean of all steps.")
@moment_option("--cutoff", help="The cutoff of the night. Default: the newest published night.")
@answers
def explain(job: str, series_id: str, step: int | None, cutoff: str | None) -> Answer:
    """Say what moved a published forecast: level, season, and each column that is known ahead.

    Forecasts the series again without one of them at a time, by the version that published, and shows the difference.
    The parts act together and need not add up; the rest is shown. Changes nothing.
    """
    with heavy_import("flows.explanation.explain"):
        from flows.explanation.explain import explain_job
        from flows.job.job import load_job
        from flows.job.moments import to_moment

    loaded = load_job(job)
    moment = None if cutoff is None else to_moment(cutoff, loaded.job.forecast.zone)
    found = explain_job(loaded, moment, series_id, step)
    below = found.rule or table(found.rows, ["part", "value", "taken out"], empty="")
    return Answer(f"{safe_lines([found.title])}\n{below}", found.to_dict(), only_shows=True)


@click.command("what-if")
@JOB
@click.option(
    "--set",
    "values",
    metavar="COLUMN=VALUE",
    required=True,
    multiple=True,
    help="The value of a column that is known ahead, such as promotion=1. May be repeated for further columns.",
)
@click.option(
    "--series",
    "series_ids",
    metavar="ID",
    multiple=True,
    help="A series. May be repeated. Default: every series that the model forecasts.",
)
@click.option("--steps", metavar="STEPS", help="Where the values are set, such as 1-7 or 1-3,14. Default: everywhere.")
@moment_option("--cutoff", help="The cutoff of the night. Default: the newest published night.")
@click.option("--name", help="Name of the scenario; replaces one of the same name. Default: what is set, in words.")
@answers
def what_if(
    job: str,
    values: tuple[str, ...],
    series_ids: tuple[str, ...],
    steps: str | None,
    cutoff: str | None,
    name: str | None,
) -> Answer:
    """Forecast a published night under other values of what is known ahead.

    Shows the published median, that of the scenario and the difference at each step, and writes the scenario into the
    table `scenario`. The table `forecast` stays as it is.
    """
    with heavy_import("flows.explanation.what_if"):
        from flows.explanation.what_if import WhatIf, counted_series, imagine
        from flows.job.job import load_job
        from flows.job.moments import local_day, to_moment

    loaded = load_job(job)
    moment = None if cutoff is None else to_moment(cutoff, loaded.job.forecast.zone)
    done = imagine(loaded, moment, WhatIf(values, series_ids, steps, name, getpass.getuser()))
    lines, totals = done.by_step, done.totals
    parts = [safe_lines([f"{done.scenario}, night of {local_day(done.cutoff, done.zone)}"])]
    if len(lines) <= _MOST_LINES:
        parts.append(table(lines, ["series", "step", "time", "published", "scenario", "difference"], empty=""))
    shown = sorted(totals[:-1], key=lambda line: -abs(line["difference"]))[: _MOST_LINES - 1] + totals[-1:]
    parts.append(table(shown, ["series", "published", "scenario", "difference", "percent"], empty=""))
    if len(shown) < len(totals):
        parts.append(f"The {len(shown) - 1} series that change most; --json and the table have all of them.")
    parts += [safe_lines(done.notes)] if done.notes else []
    count = counted_series(len(totals) - (len(totals) > 1))
    parts.append(f"Wrote {len(done.rows):,} rows of {count} into the table scenario.")
    return Answer("\n\n".join(parts[:-1]) + f"\n\n{parts[-1]}", done.to_dict())
