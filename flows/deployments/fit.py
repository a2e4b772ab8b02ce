"""Training as a Prefect flow of its own, on the pool `gpu`; a night starts it if `runner.train_on` is `gpu`."""

from __future__ import annotations

from typing import Annotated

from prefect import flow
from prefect.states import Completed
from pydantic import Field

from models.counted import counted
from tasks.printing.errors import clean_errors
from tasks.printing.logs import guard_logs
from tasks.training.gpu_pool import train_handed_over

Folder = Annotated[str, Field(description="Folder that a night shares with this run. Only a night can name one.")]


@flow(name="fit", persist_result=False)
def fit(folder: Folder) -> None:
    """Train as a night has ordered, and put the model where the night fetches it."""
    guard_logs()
    with clean_errors():
        facts = train_handed_over(folder).facts
    message = f"{counted(facts['steps'], 'step')} in {facts['seconds']:.0f} s: {facts['stopped']}"
    return Completed(message=message)  # type: ignore[return-value]  # Prefect unpacks the state
