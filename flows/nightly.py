"""The night as a Prefect flow: the same definition, its steps as tasks on the run's page."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

from prefect import flow
from prefect.runtime import flow_run
from prefect.states import Completed
from pydantic import Field

from flows.job import load_job
from flows.night import night, run_night
from flows.summary import NightSummary

__all__ = ["NightSummary", "nightly", "run_night"]

JobName = Annotated[str, Field(description="Path of a job's YAML file, or its name in the jobs folder.")]
Cutoff = Annotated[
    str | None,
    Field(
        pattern=r"^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?)?$",
        description="Last timestamp that the forecast may see, such as 2024-03-01; the newest observed one if empty.",
    ),
]
Train = Annotated[
    Literal["auto", "scratch", "warm", "never"] | None, Field(description="Instead of the job's training policy.")
]

Now = Annotated[datetime | None, Field(description="What counts as now; left out, when the run was meant to start.")]


def _run_name() -> str:
    parameters = flow_run.parameters
    return f"{Path(parameters['job']).stem} {parameters.get('cutoff') or f'{_now():%Y-%m-%d %H:%M}'}"


def _now() -> datetime:
    # After a worker was away, late nights run out of order: each takes the moment it was meant for.
    scheduled = flow_run.scheduled_start_time
    return datetime.fromtimestamp(scheduled.timestamp(), UTC) if scheduled else datetime.now(UTC)


@flow(name="nightly", flow_run_name=_run_name, persist_result=False, validate_parameters=True)
def nightly(job: JobName, cutoff: Cutoff = None, train: Train = None, now: Now = None) -> NightSummary:
    """Read a job's series, train or load its model, forecast, publish, score, alert and report."""
    summary = night(load_job(job), cutoff=cutoff, train=train, now=now or _now(), run_id=str(flow_run.id))
    return Completed(message=summary.message, data=summary)  # type: ignore[return-value]  # Prefect unpacks the state
