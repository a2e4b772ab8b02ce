"""What comes before tonight: nights that were missed, or tonight itself is already done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from flows.job.job import find_job
from flows.night.request import NightRequest, RunNight
from models.calendar.cadence import missed_nights
from tasks.night.night import Night
from tasks.run.run_log import nights_done
from tasks.step import logger


@dataclass(frozen=True)
class CaughtUp:
    """How tonight stands to the nights before it.

    Attributes:
        note: What became of missed nights, or why tonight is left out, for people; "" for nothing.
        leaves_out_tonight: Whether there is nothing left to do tonight.
    """

    note: str = ""
    leaves_out_tonight: bool = False


def catch_up(night: Night, request: NightRequest, run_missed: RunNight) -> CaughtUp:
    """Look for newer nights, which make this run a late one, and for missed ones, as `schedule.catch_up` says.

    Only a whole night of the newest step looks: whoever names a cutoff wants that night.

    Args:
        night: Tonight.
        request: What was asked for.
        run_missed: Runs one missed night as of its cutoff. A missed night that fails does not stop tonight.
    """
    if night.kind != "nightly" or night.requested_cutoff is not None:
        return CaughtUp()
    policy, zone = night.job.schedule.catch_up, night.job.forecast.zone
    done = nights_done(night.ledger)
    if done and done[-1] > night.cutoff:
        return _late(done, night)
    missed = [] if policy == "none" else _missed(done, night)
    if not missed:
        return CaughtUp()
    first, last = (f"{moment.astimezone(zone):%Y-%m-%dT%H:%M}" for moment in (missed[0], missed[-1]))
    file = find_job(request.job)
    if policy == "newest":
        return CaughtUp(
            f"{_nights(len(missed))} missed before and left out "
            f"(nightcast backfill {file.name} --from {first} --to {last} runs them)"
        )
    failed = sum(not _ran(cutoff, NightRequest(file, cutoff=cutoff, now=night.now), run_missed) for cutoff in missed)
    night.ledger.forget()
    note = f"{_nights(len(missed))} missed before, from {first} to {last}: run first"
    return CaughtUp(f"{note}, {failed} failed" if failed else note)


def _late(done: Sequence[datetime], night: Night) -> CaughtUp:
    """Tonight where a newer night is done."""
    newest = f"{done[-1].astimezone(night.job.forecast.zone):%Y-%m-%d %H:%M}"
    if night.cutoff in done:
        return CaughtUp(f"this night was done before, and so was a newer one, of {newest}", True)
    if night.job.schedule.catch_up == "newest":
        return CaughtUp(f"the night of {newest} was done before this older one; schedule.catch_up is newest", True)
    return CaughtUp()


def _missed(done: list[datetime], night: Night) -> list[datetime]:
    """Cutoffs of the missed nights, oldest first."""
    if not done:
        return []
    keep = night.job.output.keep_days
    found = missed_nights(done, done[-1], night.cutoff, night.grid, tonight=night.cutoff) or []
    # Tonight would delete older ones at once.
    return [cutoff for cutoff in found if keep is None or cutoff >= night.cutoff - timedelta(days=keep)]


def _ran(cutoff: datetime, request: NightRequest, run_missed: RunNight) -> bool:
    logger().info("The night of %s was missed: it is run first.", f"{cutoff:%Y-%m-%d %H:%M %Z}")
    try:
        run_missed(request)
    except Exception as error:
        logger().warning("The missed night of %s failed: %s", f"{cutoff:%Y-%m-%d %H:%M %Z}", error)
        return False
    return True


def _nights(count: int) -> str:
    return "1 night was" if count == 1 else f"{count} nights were"
