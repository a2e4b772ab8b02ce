"""What every step of one night knows: the run, and from its reading on the cutoff."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from datetime import datetime
from pathlib import Path
from typing import Literal, Self

from models.calendar.grid import TimeGrid
from models.lifecycle.retraining import Policy
from models.settings.training import TrainingSettings
from tasks.night.job import Job
from tasks.night.ledger import Ledger
from tasks.store.places import Places

RunKind = Literal["nightly", "train", "forecast", "score"]
"""The whole night, or a part of it: a new model, forecasts of the champion, or the judgement of past nights."""


@dataclass(frozen=True)
class Run:
    """What the steps know that read the source. The cutoff is known only after reading, see `Night`.

    Attributes:
        job: The job, with the settings that hold for this run.
        file: The job file.
        places: Where everything of the job lies.
        ledger: What the job has in the output tables.
        run_id: Key of the run in the table `run`.
        kind: The whole night, or a part of it.
        requested_cutoff: The cutoff that was asked for; None for the newest observed step.
        policy: The training policy of this run.
        now: The moment that counts as now.
        started_at: When the run began, by the clock.
        scratch: Folder of this run alone, removed when the run ends.
    """

    job: Job
    file: Path
    places: Places
    ledger: Ledger
    run_id: str
    kind: RunKind
    requested_cutoff: datetime | None
    policy: Policy
    now: datetime
    started_at: datetime
    scratch: Path

    @property
    def grid(self) -> TimeGrid:
        """The time grid of the job's forecasts."""
        return self.job.forecast.grid

    @property
    def training(self) -> TrainingSettings:
        """The job's `training` with the policy of this run."""
        return self.job.training.model_copy(update={"policy": self.policy})

    @property
    def needs_model(self) -> bool:
        """Whether the run trains or loads a model."""
        return self.kind != "score"

    @property
    def forecasts(self) -> bool:
        """Whether the run publishes forecasts."""
        return self.kind in ("nightly", "forecast")

    @property
    def judges(self) -> bool:
        """Whether the run judges past forecasts by the actuals that have arrived."""
        return self.kind in ("nightly", "score")

    def on_grid_of(self, step: str | None) -> Self:
        """The same run, its time grid through a step in local time; None leaves it as it is."""
        return replace(self, job=self.job.on_grid_of(step))

    def at(self, cutoff: datetime) -> Night:
        """The night of this run, once its cutoff is known."""
        return Night(**{each.name: getattr(self, each.name) for each in fields(Run)}, cutoff=cutoff)


@dataclass(frozen=True)
class Night(Run):
    """What every step of one night knows.

    Attributes:
        cutoff: The last timestamp that the forecast may see.
    """

    cutoff: datetime

    @property
    def is_past(self) -> bool:
        """Whether a later night is published, whose evaluation has seen more actuals."""
        return any(row["cutoff"] > self.cutoff for row in self.ledger.publications())
