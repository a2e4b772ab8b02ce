"""Backfilling as a Prefect flow: each missed night is a run of `nightly` under it."""

from __future__ import annotations

from typing import Annotated

from prefect import flow
from prefect.states import Completed
from pydantic import Field

from flows.backfill import backfill_nights

First = Annotated[str, Field(description="First cutoff, such as 2024-03-01.")]
Last = Annotated[str, Field(description="Last cutoff.")]


@flow(name="backfill", flow_run_name="{job} {first} to {last}", persist_result=False)
def backfill(job: str, first: First, last: Last) -> int:
    """Run the nightly job for each missed cutoff, oldest first; gives the number of nights run."""
    done = backfill_nights(job, first, last)
    message = f"{len(done.nights)} nights run, {done.skipped} were there already"
    return Completed(message=message, data=len(done.nights))  # type: ignore[return-value]  # Prefect unpacks the state
