"""One job never runs twice at once, whoever starts it: a command, cron or a Prefect worker, on any machine.

Nights that a run starts itself, such as those of a backfill, share its lock.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal

from sql.engine.lock import Lock, job_lock
from sql.engine.patience import HASTE, check_always_before_writing, checked_before_writing, patience
from sql.errors import StorageError
from tasks.run.crash_cleanup import clear_up
from tasks.step import logger, step
from tasks.store.places import Places

SecondRun = Literal["refused", "queued"]

_REMEDY = "Wait until the other one has ended, then run the night again if it is not published."
_SECONDS_BETWEEN_ATTEMPTS = 5.0
_LONGEST_WAIT_SECONDS = 86_400.0
# The locks that this process holds, by database and job; None for a lock of the process that started this one.
_LOCKS: ContextVar[Mapping[tuple[str, str], Lock | None]] = ContextVar("locks")


class AlreadyRuns(Exception):
    """Another process runs the job; the message says which, since when, and what to do."""


@contextmanager
def one_at_a_time(places: Places, second_run: SecondRun, forget: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Hold the job's lock until the end of the block; what a killed run left is cleared up first.

    Before each write in the block the lock is looked at, and taken again where the database has lost it.

    Args:
        places: The job's places.
        second_run: What happens while another process runs the job: `refused` raises an error, `queued` waits, for a
            day at most.
        forget: Called when the lock was lost and is taken again: another process may have written meanwhile.

    Raises:
        AlreadyRuns: another process runs the job, or has begun to after the database was restarted.
        StorageError: the output database does not answer.
    """
    held = _held()
    if _key(places) in held:
        yield
        return
    lock = job_lock(places.engine(), places.job, places.report.parent)
    _acquire(lock, places.job, _LONGEST_WAIT_SECONDS if second_run == "queued" else 0.0)
    token = _LOCKS.set({**held, _key(places): lock})
    try:
        with checked_before_writing(lambda: _keep(places, forget)):
            clear_up(places)
            yield
    finally:
        _LOCKS.reset(token)
        lock.release()


def share_lock_of_parent(places: Places, is_lost: Callable[[], bool]) -> None:
    """Let this process run nights of a job under the lock of the process that started it and waits for it.

    Before each write, `is_lost` says whether another process has the lock by now.
    """
    _LOCKS.set({**_held(), _key(places): None})

    def check() -> None:
        if is_lost():
            raise AlreadyRuns(f"Another process runs {places.job} now, so this night writes nothing more. {_REMEDY}")

    check_always_before_writing(check)


def look_after_lock(places: Places) -> None:
    """Take the lock again where the database has lost it, for the processes that share it.

    Raises:
        AlreadyRuns: another process has taken it meanwhile.
    """
    try:
        with patience(HASTE):
            _keep(places)
    except StorageError as error:
        # Those who share it wait for the database where they use it.
        logger().warning("The lock of %s cannot be looked after for now: %s", places.job, error)


@step("make sure that {places.job} runs once")
def keep_lock(places: Places) -> None:
    """Take the lock again where the database was restarted and has lost it.

    Raises:
        AlreadyRuns: another process has taken it meanwhile, so this one must not publish.
        StorageError: the database does not answer.
    """
    _keep(places)


def _keep(places: Places, forget: Callable[[], None] = lambda: None) -> None:
    lock = _held().get(_key(places))
    if lock is None or lock.is_held():
        return
    holder = lock.acquire()
    if holder is not None:
        raise AlreadyRuns(
            f"{places.job} is being run already, by {holder}: the database was restarted, or ended the session that "
            "held the lock of this run. This run ends here and writes nothing more, so that the two do not mix. "
            f"{_REMEDY}"
        )
    logger().warning("The database had lost the lock of %s: it is taken again.", places.job)
    forget()


def _held() -> Mapping[tuple[str, str], Lock | None]:
    return _LOCKS.get({})


def _key(places: Places) -> tuple[str, str]:
    return places.database, places.job


def _acquire(lock: Lock, job: str, longest_wait: float) -> None:
    since = time.monotonic()
    is_logged = False
    while (holder := lock.acquire()) is not None:
        if time.monotonic() - since >= longest_wait:
            raise AlreadyRuns(
                f"{job} is being run already, by {holder}. Wait until it has ended, or end it; "
                "`schedule: {second_run: queued}` in the job file lets a second run wait by itself."
            )
        if not is_logged:
            logger().info("%s is being run by %s: waiting.", job, holder)
            is_logged = True
        time.sleep(_SECONDS_BETWEEN_ATTEMPTS)
