"""Run the nights of a stretch of time that were missed: oldest first, or several at once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from flows.job.job import JobError, LoadedJob, load_job
from flows.job.moments import to_cutoff, to_moment
from flows.night.night import run_night
from flows.night.parallel_nights import run_side_by_side
from flows.night.summary import NightSummary
from models.calendar.cadence import missed_nights
from models.calendar.grid import TimeGrid
from models.lifecycle.retraining import Policy
from tasks.reading.read_series import instants_between
from tasks.run.lock import one_at_a_time
from tasks.run.run_log import nights_done


@dataclass(frozen=True)
class Backfilled:
    """Nights that were run now, and how many cutoffs had been published before."""

    nights: list[NightSummary]
    skipped: int


def backfill_nights(
    job: str | Path,
    first: str,
    last: str,
    *,
    every: int | None = None,
    train: Policy | None = None,
    workers: int = 1,
) -> Backfilled:
    """The nightly job for each cutoff from `first` to `last` that was not run to its end, each as of that night.

    One that is interrupted goes on where it stopped when it is started again.

    Args:
        job: Path of the job's file, or its name.
        first: The first cutoff.
        last: The last one.
        every: Steps from one cutoff to the next, from `first` on. Left out, every step; or, where steps are shorter
            than a day, the cutoffs that the job's nights ask for, see `missed_nights`.
        train: Instead of the job's `training.policy`.
        workers: Processes that run nights side by side.

    Raises:
        JobError: no step of the job's grid lies between the two, `last` has not come yet, or nights that may continue
            one another's model were to run side by side.
        AlreadyRuns: the job is being run by somebody else.
    """
    loaded = load_job(job)
    policy = train or loaded.job.training.policy
    if workers > 1 and policy not in ("never", "scratch"):
        raise JobError(
            f"Under the training policy {policy!r} a night may continue the model of the one before, so they run one "
            "after the other. Leave --workers out, or give --train never (each loads the newest version trained by "
            "then) or --train scratch (each trains its own)."
        )
    zone = loaded.job.forecast.zone
    begin, end = to_moment(first, zone), to_cutoff(last, zone, datetime.now(UTC))
    with one_at_a_time(loaded.places, loaded.job.schedule.second_run):
        done = nights_done(loaded.places)
        cutoffs, there = _cutoffs(loaded, begin, end, every, done)
        if not cutoffs and not there:
            raise JobError(
                f"No step of {loaded.job.forecast.frequency} lies from {first} to {last}; put --from before --to."
            )
        if workers > 1:
            return Backfilled(run_side_by_side(loaded, cutoffs, policy, workers), there)
        # Also the job's own policy is named: nights that are trained from scratch are then forecast by what they train.
        return Backfilled([run_night(loaded.path, cutoff=cutoff, train=policy) for cutoff in cutoffs], there)


def _cutoffs(
    loaded: LoadedJob, begin: datetime, end: datetime, every: int | None, done: list[datetime]
) -> tuple[list[datetime], int]:
    """The cutoffs to run, and how many in between are done."""
    forecast = loaded.job.forecast
    grid = TimeGrid(forecast.frequency, forecast.time_zone)
    if every is None and grid.step_seconds < 86_400:
        missed = missed_nights(done, begin, end, grid)
        if missed is not None:
            return missed, sum(begin <= cutoff <= end for cutoff in done)
    cutoffs = instants_between(grid, begin, end)[:: every or 1]
    missed = [cutoff for cutoff in cutoffs if cutoff not in done]
    return missed, len(cutoffs) - len(missed)
