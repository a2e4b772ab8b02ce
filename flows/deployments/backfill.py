"""Backfilling as a Prefect flow: each missed night is a sub-flow `nightly`."""

from __future__ import annotations

from prefect import flow
from prefect.states import Completed

from flows.deployments.dispatch import dispatch
from flows.deployments.form import Every, First, JobName, Last, Train, Workers, with_form
from flows.night.backfill import Span, backfill_nights
from models.counted import counted
from tasks.printing.errors import clean_errors
from tasks.printing.logs import guard_logs


@with_form
@flow(name="backfill", flow_run_name="{job} {first} to {last}", persist_result=False)
def backfill(
    job: JobName, first: First, last: Last, every: Every = None, train: Train = None, workers: Workers = 1
) -> int:
    """Run the nightly job for each missed cutoff, oldest first; gives the number of nights run."""
    guard_logs()
    with clean_errors():
        done = backfill_nights(job, Span(first, last, every), dispatch, train=train, workers=workers)
    message = f"{counted(len(done.nights), 'night')} run, {done.skipped} already done"
    return Completed(message=message, data=len(done.nights))  # type: ignore[return-value]  # Prefect unpacks the state
