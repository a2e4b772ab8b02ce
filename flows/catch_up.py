"""Backfilling as a Prefect flow: each missed night is a run of `nightly` under it."""

from __future__ import annotations

from prefect import flow
from prefect.states import Completed

from flows.backfill import backfill_nights
from flows.form import First, JobName, Last, with_form


@with_form
@flow(name="backfill", flow_run_name="{job} {first} to {last}", persist_result=False)
def backfill(job: JobName, first: First, last: Last) -> int:
    """Run the nightly job for each missed cutoff, oldest first; gives the number of nights run."""
    done = backfill_nights(job, first, last)
    message = f"{len(done.nights)} nights run, {done.skipped} were there already"
    return Completed(message=message, data=len(done.nights))  # type: ignore[return-value]  # Prefect unpacks the state
