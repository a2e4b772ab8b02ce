"""Backfilling as a Prefect flow: each missed night is a run of `nightly` under it."""

from __future__ import annotations

from typing import Annotated, Literal

from prefect import flow
from prefect.states import Completed
from pydantic import Field

from flows.backfill import backfill_nights

First = Annotated[str, Field(description="First cutoff, such as 2024-03-01.")]
Last = Annotated[str, Field(description="Last cutoff.")]
Every = Annotated[
    int | None,
    Field(ge=1, description="Steps from one cutoff to the next; empty: every step, or as the job's nights lie."),
]
Train = Annotated[
    Literal["auto", "scratch", "warm", "never"] | None, Field(description="Instead of the job's training policy.")
]
Workers = Annotated[
    int, Field(ge=1, le=64, description="Nights at once, with `never` and `scratch`; they are runs of no flow then.")
]


@flow(name="backfill", flow_run_name="{job} {first} to {last}", persist_result=False)
def backfill(job: str, first: First, last: Last, every: Every = None, train: Train = None, workers: Workers = 1) -> int:
    """Run the nightly job for each missed cutoff, oldest first; gives the number of nights run."""
    done = backfill_nights(job, first, last, every=every, train=train, workers=workers)
    message = f"{len(done.nights)} nights run, {done.skipped} were there already"
    return Completed(message=message, data=len(done.nights))  # type: ignore[return-value]  # Prefect unpacks the state
