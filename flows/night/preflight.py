"""What comes before tonight: the nights that were missed, or tonight is over already."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from flows.job.job import LoadedJob
from models.calendar.cadence import missed_nights
from models.calendar.grid import TimeGrid
from tasks.run.run_log import nights_done
from tasks.step import logger


@dataclass(frozen=True)
class Before:
    """What a night finds that runs for the newest step.

    Attributes:
        note: What became of the nights before, or why this one is left out; "" where there is nothing to say.
        leaves_out_tonight: Whether there is nothing left to do.
    """

    note: str = ""
    leaves_out_tonight: bool = False


def before_tonight(loaded: LoadedJob, cutoff: datetime, run: Callable[[datetime], object]) -> Before:
    """Look for newer nights, which make this run a late one, and for missed ones, which `schedule.catch_up` is about.

    Args:
        loaded: The job.
        cutoff: Tonight's.
        run: Runs one missed night as of its cutoff. One that fails is noted as every failed run is, and stops nothing.
    """
    catch_up, zone = loaded.job.schedule.catch_up, loaded.job.forecast.zone
    done = nights_done(loaded.places)
    if done and done[-1] > cutoff:
        newest = f"{done[-1].astimezone(zone):%Y-%m-%d %H:%M}"
        if cutoff in done:
            return Before(f"this night was done before, and so was a newer one, of {newest}", True)
        if catch_up == "newest":
            return Before(f"the night of {newest} was done before this older one; schedule.catch_up is newest", True)
        return Before()
    missed = [] if catch_up == "none" else _missed(loaded, done, cutoff)
    if not missed:
        return Before()
    first, last = (f"{moment.astimezone(zone):%Y-%m-%dT%H:%M}" for moment in (missed[0], missed[-1]))
    if catch_up == "newest":
        return Before(
            f"{_nights(len(missed))} missed before and left out "
            f"(nightcast backfill {Path(loaded.path).name} --from {first} --to {last} runs them)"
        )
    failed = sum(not _ran(night, run) for night in missed)
    note = f"{_nights(len(missed))} missed before, from {first} to {last}: run first"
    return Before(f"{note}, {failed} failed" if failed else note)


def _missed(loaded: LoadedJob, done: list[datetime], cutoff: datetime) -> list[datetime]:
    if not done:
        return []
    forecast, keep = loaded.job.forecast, loaded.job.output.keep_days
    grid = TimeGrid(forecast.frequency, forecast.time_zone)
    found = missed_nights(done, done[-1], cutoff, grid, tonight=cutoff) or []
    # What tonight would let go of at once need not be run.
    return [night for night in found if keep is None or night >= cutoff - timedelta(days=keep)]


def _ran(night: datetime, run: Callable[[datetime], object]) -> bool:
    logger().info("The night of %s was missed: it is run first.", f"{night:%Y-%m-%d %H:%M %Z}")
    try:
        run(night)
    except Exception as error:
        logger().warning("The missed night of %s failed: %s", f"{night:%Y-%m-%d %H:%M %Z}", error)
        return False
    return True


def _nights(count: int) -> str:
    return "1 night was" if count == 1 else f"{count} nights were"
