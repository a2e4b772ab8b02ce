"""`anomalies`: list the actuals of a job that its forecasts did not expect."""

from __future__ import annotations

import click

from flows.commands.answer import Answer, answers, moment_option, table
from models.counted import counted


@click.command()
@click.argument("job")
@moment_option("--since", help="First time of an actual, in the job's time zone unless it names one. Default: all.")
@answers
def anomalies(job: str, since: str | None) -> Answer:
    """List the anomalies of a job, newest first: actuals that lie where its forecasts did not expect them.

    `anomalies.rate` of the job file says how many there may be. The text has times of the job's zone, and the
    probability of an actual as far out; `since` is the beginning of the run of anomalies that follow each other.
    """
    from flows.job.job import load_job
    from flows.job.moments import local_day, to_moment
    from tasks.night.ledger import Ledger

    loaded = load_job(job)
    zone, ledger = loaded.job.forecast.zone, Ledger.opened(loaded.places)
    first = None if since is None else to_moment(since, zone)
    rows = ledger.anomalies_since(first).to_pylist()[::-1]
    judged, found = ledger.anomaly_totals(first)
    shown = [{**row, "time": local_day(row["timestamp"], zone), "since": local_day(row["since"], zone)} for row in rows]
    columns = ["time", "series_id", "actual", "expected", "direction", "probability", "since"]
    text = table(shown, columns, empty="No anomaly.") + "\n"
    if not loaded.job.anomalies.enabled:
        text += "The job judges no actuals: anomalies.enabled is false. "
    text += f"{found:,} of {counted(judged, 'actual')} were anomalies when first seen"
    text += f", {found / judged:.2g}; the job asks for {loaded.job.anomalies.rate:g}." if judged else "."
    document = {"anomalies": rows, "judged": judged, "found": found, "rate": loaded.job.anomalies.rate}
    return Answer(text, document, only_shows=True)
