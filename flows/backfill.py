"""Run the nights that were missed, oldest first."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from flows.job import JobError, LoadedJob, load_job
from flows.moments import to_cutoff, to_moment
from flows.night import run_night
from flows.summary import NightSummary
from models.time_grid import TimeGrid
from sql import history
from tasks.read_series import instants_between


@dataclass(frozen=True)
class Backfilled:
    """Nights that were run now, and how many cutoffs had been published before."""

    nights: list[NightSummary]
    skipped: int


def backfill_nights(job: str | Path, first: str, last: str) -> Backfilled:
    """The nightly job for each grid step from `first` to `last` that was not published, each as of that night.

    Raises:
        JobError: no step of the job's grid lies between the two, or `last` has not come yet.
    """
    loaded = load_job(job)
    forecast = loaded.job.forecast
    zone, grid = forecast.zone, TimeGrid(forecast.frequency, forecast.time_zone)
    cutoffs = instants_between(grid, to_moment(first, zone), to_cutoff(last, zone, datetime.now(UTC)))
    if not cutoffs:
        raise JobError(f"No step of {forecast.frequency} lies from {first} to {last}; put --from before --to.")
    published = published_cutoffs(loaded)
    missed = [cutoff for cutoff in cutoffs if cutoff not in published]
    nights = [run_night(loaded.path, cutoff=cutoff.isoformat()) for cutoff in missed]
    return Backfilled(nights, len(cutoffs) - len(missed))


def published_cutoffs(loaded: LoadedJob) -> set[datetime]:
    """Cutoffs of the nights that are published."""
    if not loaded.places.has_tables():
        return set()
    return {row["cutoff"] for row in history.publications(loaded.places.ready_engine(), loaded.job.name)}
