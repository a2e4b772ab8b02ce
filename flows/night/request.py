"""What one run is asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flows.job.job import LoadedJob, load_job
from flows.job.moments import to_cutoff, to_moment
from flows.night.summary import NightSummary
from models.lifecycle.retraining import Policy
from tasks.night.ledger import Ledger
from tasks.night.night import Run, RunKind


@dataclass(frozen=True)
class NightRequest:
    """One run of a job, as a person or a schedule asks for it.

    Attributes:
        job: Path of the job's file, or its name.
        kind: The whole night, or a part of it.
        cutoff: Last timestamp that the forecast may see; the newest observed step where None.
        train: The training policy of this run; the job's where None. What `scratch` then trains forecasts tonight,
            whichever version is the champion.
        horizon: Number of steps; the job's where None. A network for another horizon never becomes the champion.
        time_limit: Seconds that training may take; the job's where None.
        notify: Whether alerts are sent to the job's targets.
        now: The moment that counts as now; the clock's where None.
    """

    job: str | Path
    kind: RunKind = "nightly"
    cutoff: datetime | str | None = None
    train: Policy | None = None
    horizon: int | None = None
    time_limit: float | None = None
    notify: bool = True
    now: datetime | None = None

    def load(self) -> LoadedJob:
        """The job with the settings that hold for this run.

        Raises:
            JobError: the file cannot be used.
        """
        changes: dict[str, dict[str, Any]] = {
            "forecast": {} if self.horizon is None else {"horizon": self.horizon},
            "training": {} if self.time_limit is None else {"time_limit": self.time_limit},
        }
        return load_job(self.job, changes)

    def run(self, run_id: str) -> Run:
        """The run that does what is asked for.

        Raises:
            JobError: the file cannot be used, or the cutoff has not come yet.
        """
        loaded = self.load()
        job, places, zone = loaded.job, loaded.places, loaded.job.forecast.zone
        started_at = datetime.now(UTC)
        now = to_moment(self.now or started_at, zone)
        return Run(
            job=job,
            file=loaded.path,
            places=places,
            ledger=Ledger(places),
            run_id=run_id,
            kind=self.kind,
            requested_cutoff=None if self.cutoff is None else to_cutoff(self.cutoff, zone, now).astimezone(UTC),
            policy=self.train or job.training.policy,
            now=now,
            started_at=started_at,
            scratch=places.scratch_folder(run_id),
        )

    @property
    def promotes(self) -> bool:
        """Whether a version that is trained tonight may become the champion."""
        # The next night wants a champion for the job's own horizon.
        return self.horizon is None or self.horizon == load_job(self.job).job.forecast.horizon

    @property
    def uses_new_model(self) -> bool:
        """Whether a new version forecasts tonight, whatever its verdict: who asks for one wants to see its forecast."""
        return self.train == "scratch" and self.kind in ("nightly", "forecast")


RunNight = Callable[[NightRequest], NightSummary]
"""Runs a night, here or as a Prefect flow."""
