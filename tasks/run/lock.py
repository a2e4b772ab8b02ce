"""One job never runs twice at once, whoever starts it: a command, cron or a Prefect worker, on this machine or another.

Nights that a run starts itself, such as those of a backfill, run in its turn.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal

from sql.engine.lock import Lock, job_lock
from tasks.run.crash_cleanup import clear_up
from tasks.step import logger, step
from tasks.store.places import Places

SecondRun = Literal["refused", "queued"]

_ASK_AGAIN_SECONDS = 5.0
_LONGEST_WAIT_SECONDS = 86_400.0
# None for the turn of the process that started this one.
_TURNS: ContextVar[Mapping[tuple[str, str], Lock | None]] = ContextVar("turns")


class AlreadyRuns(Exception):
    """Another process runs the job; the message says which, since when, and what to do."""


@contextmanager
def one_at_a_time(places: Places, second_run: SecondRun) -> Iterator[None]:
    """Run the job alone, until the end of the block; what a killed run left is cleared up first.

    Args:
        places: The job's.
        second_run: What becomes of this run where another one is on its way: an error, or it waits for its turn, for
            a day at most.

    Raises:
        AlreadyRuns: another one is on its way.
        StorageError: the output database does not answer.
    """
    turns = _turns()
    if _key(places) in turns:
        yield
        return
    turn = job_lock(places.engine(), places.job, places.report.parent)
    _take(turn, places.job, _LONGEST_WAIT_SECONDS if second_run == "queued" else 0.0)
    token = _TURNS.set({**turns, _key(places): turn})
    try:
        clear_up(places)
        yield
    finally:
        _TURNS.reset(token)
        turn.release()


def in_turn_of_parent(places: Places) -> None:
    """Let this process run nights of a job in the turn of the process that started it and waits for it."""
    _TURNS.set({**_turns(), _key(places): None})


@step("make sure that {places.job} runs once", retries=2, retry_delay_seconds=(2, 10))
def keep_turn(places: Places) -> None:
    """Take the turn again where the database was restarted and has forgotten who has it.

    Raises:
        AlreadyRuns: another run has taken it meanwhile; nothing may be published by this one.
        StorageError: the database does not answer.
    """
    turn = _turns().get(_key(places))
    if turn is not None and not turn.is_held():
        logger().warning("The database has forgotten that %s runs here: the turn is taken again.", places.job)
        _take(turn, places.job, 0.0)


def _turns() -> Mapping[tuple[str, str], Lock | None]:
    return _TURNS.get({})


def _key(places: Places) -> tuple[str, str]:
    return places.url_text, places.job


def _take(turn: Lock, job: str, longest_wait: float) -> None:
    since = time.monotonic()
    told = False
    while (holder := turn.acquire()) is not None:
        if time.monotonic() - since >= longest_wait:
            raise AlreadyRuns(
                f"{job} is being run already, by {holder}. Wait until it has ended, or end it; "
                "`schedule: {second_run: queued}` in the job file lets a second run wait by itself."
            )
        if not told:
            logger().info("%s is being run by %s: waiting.", job, holder)
            told = True
        time.sleep(_ASK_AGAIN_SECONDS)
