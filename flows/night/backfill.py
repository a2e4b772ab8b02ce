"""Run the missed nights of a period: oldest first, or several at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from flows.job.job import JobError, load_job
from flows.job.moments import to_cutoff, to_moment
from flows.night.parallel_nights import run_side_by_side, tell_of_night
from flows.night.request import NightRequest, RunNight
from flows.night.summary import NightSummary
from models.audit.scan import Present
from models.calendar.cadence import missed_nights
from models.calendar.grid import TimeGrid
from models.lifecycle.retraining import Policy
from tasks.activity import TimeLeft
from tasks.night.ledger import Ledger
from tasks.night.owner import refuse_taken_name
from tasks.planning.published_grid import published_origin
from tasks.reading.read_series import instants_between
from tasks.run.interruption import interrupted_nights
from tasks.run.lock import one_at_a_time
from tasks.run.run_log import nights_done
from tasks.store.places import Places


@dataclass(frozen=True)
class Span:
    """The cutoffs of a backfill.

    Attributes:
        first: The first cutoff.
        last: The last cutoff.
        every: Steps from one cutoff to the next, from `first` on. None for every step; where steps are shorter than a
            day, None for the cutoffs of the job's usual nights, see `missed_nights`.
    """

    first: str
    last: str
    every: int | None = None


@dataclass(frozen=True)
class Backfilled:
    """The nights that were run now, and the number of cutoffs that had been done before."""

    nights: list[NightSummary]
    skipped: int


def backfill_nights(
    job: str | Path, span: Span, run_night: RunNight, *, train: Policy | None = None, workers: int = 1
) -> Backfilled:
    """Run the nightly job for each cutoff of a span that did not come to its end, each as of that night.

    A backfill that is interrupted continues where it stopped when it is started again.

    Args:
        job: Path of the job's file, or its name.
        span: The cutoffs.
        run_night: Runs one night; nights that run side by side run in processes of their own, without it.
        train: The training policy; the job's where None.
        workers: Number of processes that run nights side by side.

    Raises:
        JobError: no step of the job's grid lies in the span, its end has not come yet, or nights that may continue
            each other's model were to run side by side.
        NameTaken: the job's name belongs to another one.
        AlreadyRuns: another process runs the job.
    """
    loaded = load_job(job)
    policy = train or loaded.job.training.policy
    if workers > 1 and policy not in ("never", "scratch"):
        raise JobError(
            f"Under the training policy {policy!r} a night may continue the model of the one before, so they run one "
            "after the other. Give one worker (--workers 1), or another training policy (--train): never loads the "
            "newest version trained by then, scratch trains one each night."
        )
    zone = loaded.job.forecast.zone
    now = datetime.now(UTC)
    first, last = to_moment(span.first, zone), to_cutoff(span.last, zone, now)
    refuse_taken_name(loaded.job, loaded.places, loaded.path)
    with one_at_a_time(loaded.places, loaded.job.schedule.second_run):
        ledger = Ledger(loaded.places)
        done, origin = nights_done(ledger), published_origin(loaded.job, ledger)
        grid = loaded.job.on_grid_of(origin).forecast.grid
        # A night at a step that is not over would be the night of the newest one that is, once more.
        newest = grid.instant(Present.at(now, grid, loaded.job.audit).usable)
        cutoffs, skipped = _cutoffs(grid, (first, min(last, newest)), span.every, done)
        if not cutoffs and not skipped:
            raise JobError(
                f"No step of {loaded.job.forecast.frequency} that is over lies from {span.first} to {span.last}. Give "
                "a first cutoff that is not after the last one."
            )
        if workers > 1:
            return Backfilled(run_side_by_side(loaded, cutoffs, policy, workers), skipped)
        # The job's own policy is named too: with `scratch`, each night is then forecast by the model that it trains.
        requests = [NightRequest(loaded.path, cutoff=cutoff, train=policy) for cutoff in cutoffs]
        return Backfilled(_one_by_one(loaded.places, requests, run_night), skipped)


def _one_by_one(places: Places, requests: Sequence[NightRequest], run_night: RunNight) -> list[NightSummary]:
    nights, left = list[NightSummary](), TimeLeft(len(requests))
    try:
        for request in requests:
            nights.append(run_night(request))
            tell_of_night(nights[-1], left)
    except KeyboardInterrupt as interrupt:
        cutoffs = [request.cutoff for request in requests if isinstance(request.cutoff, datetime)]
        raise interrupted_nights(places, cutoffs, len(nights) + 1, interrupt) from None
    return nights


def _cutoffs(
    grid: TimeGrid, period: tuple[datetime, datetime], every: int | None, done: Sequence[datetime]
) -> tuple[list[datetime], int]:
    """The cutoffs to run, and the number of those that are done."""
    first, last = period
    if every is None and grid.step_seconds < 86_400:
        missed = missed_nights(done, first, last, grid)
        if missed is not None:
            return missed, sum(first <= cutoff <= last for cutoff in done)
    cutoffs = instants_between(grid, first, last)[:: every or 1]
    missed = [cutoff for cutoff in cutoffs if cutoff not in done]
    return missed, len(cutoffs) - len(missed)
