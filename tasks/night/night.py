"""What every step of one night knows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from models.calendar.grid import TimeGrid
from tasks.night.job import Job
from tasks.store.places import Places


@dataclass(frozen=True)
class Night:
    """What every step of one night knows.

    Attributes:
        job: The job, with what holds for this run instead of what its file says.
        places: Where everything of the job lies.
        run_id: Key of the run in the table `run`.
        cutoff: The last timestamp that the forecast may see.
        started_at: When the run began.
        scratch: Folder of the run's own, gone when it ends.
    """

    job: Job
    places: Places
    run_id: str
    cutoff: datetime
    started_at: datetime
    scratch: Path

    @property
    def grid(self) -> TimeGrid:
        """The time grid of the job's forecasts."""
        return TimeGrid(self.job.forecast.frequency, self.job.forecast.time_zone)
