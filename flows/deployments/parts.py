"""Parts of the night, and a backtest, as Prefect flows of their own: one button each."""

from __future__ import annotations

from typing import Any

from prefect import flow
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.runtime import flow_run
from prefect.states import Completed

from flows.deployments.form import (
    Challengers,
    Cutoff,
    Cutoffs,
    HowOftenToTrain,
    HowToTrain,
    JobName,
    Notify,
    TimeLimit,
    with_form,
)
from flows.deployments.nightly import run_in_flow, run_name
from flows.job.job import load_job
from flows.night.request import NightRequest
from flows.night.summary import NightSummary
from models.counted import counted
from tasks.prefect_ui import label_run
from tasks.printing.errors import clean_errors
from tasks.printing.logs import guard_logs
from tasks.printing.safe import without_secrets


@with_form
@flow(name="train", flow_run_name=run_name, persist_result=False)
def train(
    job: JobName, cutoff: Cutoff = None, train: HowToTrain = "scratch", time_limit: TimeLimit = None
) -> NightSummary:
    """Train a new model version now, the champion or a challenger. Published forecasts stay as they are."""
    return run_in_flow(NightRequest(job, "train", cutoff, train, time_limit=time_limit))


@with_form
@flow(name="forecast", flow_run_name=run_name, persist_result=False)
def forecast(job: JobName, cutoff: Cutoff = None) -> NightSummary:
    """Forecast with the champion as it is, and publish. Nothing is trained or judged, and nobody is notified."""
    return run_in_flow(NightRequest(job, "forecast", cutoff, "never"))


@with_form
@flow(name="score", flow_run_name=run_name, persist_result=False)
def score(job: JobName, cutoff: Cutoff = None, notify: Notify = True) -> NightSummary:
    """Score published forecasts against the actuals that have arrived since, and alert where they got worse."""
    return run_in_flow(NightRequest(job, "score", cutoff, "never", notify=notify))


def backtest_name() -> str:
    """Job and number of cutoffs."""
    return f"{flow_run.parameters['job']} from {counted(int(flow_run.parameters['cutoffs']), 'cutoff')}"


@with_form
@flow(name="backtest", flow_run_name=backtest_name, persist_result=False)
def backtest(
    job: JobName,
    cutoffs: Cutoffs = 4,
    challengers: Challengers = [],  # noqa: B006
    train: HowOftenToTrain = "once",
) -> list[dict[str, Any]]:
    """Train on older history, forecast from past cutoffs, and show the errors beside those of other methods."""
    from flows.night.backtest import backtest_job
    from tasks.report.accuracy import label_of
    from tasks.report.backtest_page import overall_rows

    guard_logs()
    with clean_errors():
        label_run(load_job(job).job.name)
        result = backtest_job(job, cutoffs, challengers, train)
    words = f"{result.cutoffs[0]:%Y-%m-%d} to {result.cutoffs[-1]:%Y-%m-%d}, {counted(len(result.cutoffs), 'cutoff')}"
    rows = overall_rows(result.result)
    # An artifact's key knows no underscore.
    key = f"backtest-{result.job}".replace("_", "-")
    notes = "\n\n".join([f"{result.job}: {words}", *result.notes()])
    create_table_artifact(without_secrets(rows), key=key, description=without_secrets(notes))
    create_markdown_artifact(
        without_secrets(result.page.screen), key=f"{key}-plots", description=f"{words}: differences and plots"
    )
    [mase, *_] = [row for row in rows if row["metric"] == label_of("mase")] or rows
    message = f"{mase['metric']} {mase['model']}, seasonal naive's {mase['seasonal naive']}; {words}"
    return Completed(message=message, data=result.rows())  # type: ignore[return-value]  # Prefect unpacks the state
