"""Tries again what a database could not do for a while: when it restarts, or another session holds a lock.

Whatever reads or writes a database is tried again as a whole here, and nowhere else. So a call within such a call is
not tried by itself, and a step of the night repeats only what is no database.
"""

from __future__ import annotations

import functools
import itertools
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import ParamSpec, TypeVar

import sqlalchemy as sa

from sql.engine.blockers import asking_who_blocks, held_by
from sql.engine.url import describe
from sql.errors import StorageError

P = ParamSpec("P")
R = TypeVar("R")

_PAUSES = (1.0, 2.0, 4.0, 8.0, 16.0)
_LONGEST_PAUSE = 30.0


def _warn(text: str) -> None:
    logging.getLogger("nightcast").warning(text)


@dataclass(frozen=True)
class Patience:
    """How long a database is tried again, counted from its first error.

    Attributes:
        away: Seconds while it restarts, cuts connections or has none left.
        locked: Seconds while another session holds a lock.
        unknown: Seconds while a database does not answer that never answered this process: its URL may be wrong.
        say: Takes a line for people when the waiting begins, and when it ends.
    """

    away: float = 120.0
    locked: float = 600.0
    unknown: float = 4.0
    say: Callable[[str], None] = _warn

    def seconds(self, error: StorageError) -> float:
        """How long after this error."""
        away = self.away if error.url in _ANSWERED or _SAYS_SO in str(error) else self.unknown
        return {"": 0.0, "away": away, "locked": self.locked}[error.passes]


# The databases that answered this process.
_ANSWERED: set[object] = set()
# "The database system is starting up" is an answer.
_SAYS_SO = "the database system is"

_PATIENCE: ContextVar[Patience] = ContextVar("patience")
_PATIENT = Patience()
HASTE = Patience(away=0.0, locked=10.0, unknown=0.0)
"""For people who wait for an answer: they see at once that a database is away, and soon who holds a lock."""

_IS_TRYING: ContextVar[bool] = ContextVar("is_trying", default=False)
_BEFORE_WRITING: ContextVar[Callable[[], None] | None] = ContextVar("before_writing", default=None)


def note_answer(url: sa.URL) -> None:
    """Note that a database answers, so that it is waited for when it does not later on."""
    _ANSWERED.add(url)


def has_answered(url: sa.URL) -> bool:
    """Whether a database has ever answered this process."""
    return url in _ANSWERED


@contextmanager
def patience(given: Patience) -> Iterator[None]:
    """Be so patient with databases until the end of the block."""
    token = _PATIENCE.set(given)
    try:
        yield
    finally:
        _PATIENCE.reset(token)


@contextmanager
def checked_before_writing(check: Callable[[], None] | None) -> Iterator[None]:
    """Call this before each transaction that writes, until the end of the block; None for no check."""
    token = _BEFORE_WRITING.set(check)
    try:
        yield
    finally:
        _BEFORE_WRITING.reset(token)


def check_always_before_writing(check: Callable[[], None]) -> None:
    """Call this before each transaction that writes, until this process ends."""
    _BEFORE_WRITING.set(check)


def before_writing() -> None:
    """Make the check of `checked_before_writing`; its error comes through, and nothing must be written."""
    check = _BEFORE_WRITING.get()
    if check is not None:
        check()


def patiently(function: Callable[P, R]) -> Callable[P, R]:
    """The function, tried again as a whole after errors of a database that pass by themselves, see `outage.passes`.

    The function must be one that can be repeated: it reads, or it writes so that the same write twice leaves the rows
    once. The last error comes through, and says for how long it was tried.
    """

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        if _IS_TRYING.get():
            return function(*args, **kwargs)
        token = _IS_TRYING.set(True)
        try:
            return _try_again(lambda: function(*args, **kwargs))
        finally:
            _IS_TRYING.reset(token)

    return call


def _try_again(work: Callable[[], R]) -> R:
    patience_now, wait = _PATIENCE.get(_PATIENT), _Wait()
    for pause in itertools.chain(_PAUSES, itertools.repeat(_LONGEST_PAUSE)):
        try:
            with _asking_who_blocks(wait, patience_now.say):
                result = work()
        except StorageError as error:
            limit = patience_now.seconds(error)
            if not wait.begins(error, limit):
                raise
            if wait.tries == 1:
                patience_now.say(f"{error} Trying again for up to {_duration(limit)}.")
            wait.sleep(limit if limit == patience_now.unknown else min(pause, max(limit - wait.seconds, 0.1)))
        else:
            if wait.tries:
                patience_now.say(f"{wait.where} answers again after {_duration(wait.seconds)}: going on.")
            return result
    raise AssertionError("the pauses never end")


@dataclass
class _Wait:
    """A wait for one database.

    Attributes:
        tries: How often it was tried in vain.
        where: The database, without its password.
        blocked_by: The sessions that were seen to hold the lock.
        blocked_in: The database if the last try failed for want of a lock.
    """

    tries: int = 0
    where: str = ""
    blocked_by: str = ""
    blocked_in: sa.URL | None = None
    _begun_at: float = 0.0
    _slept: float = field(default=0.0)

    @property
    def seconds(self) -> float:
        """How long it has lasted."""
        return max(time.monotonic() - self._begun_at, self._slept) if self.tries else 0.0

    def begins(self, error: StorageError, limit: float) -> bool:
        """Take note of an error; whether there is time for another try. If not, the error says how long it took."""
        if not self.tries:
            self._begun_at = time.monotonic()
        elif not limit:
            return False
        elif self.seconds >= limit:
            error.args = (self._told(error), *error.args[1:])
            return False
        self.tries += 1
        self.where = describe(error.url) if isinstance(error.url, sa.URL) else "The database"
        self.blocked_in = error.url if error.passes == "locked" and isinstance(error.url, sa.URL) else None
        return limit > 0

    def sleep(self, seconds: float) -> None:
        """Let some time pass."""
        time.sleep(seconds)
        self._slept += seconds

    def _told(self, error: StorageError) -> str:
        tried = f"{error} It was tried again for {_duration(self.seconds)}."
        return f"{tried} {held_by(self.blocked_by)}" if error.passes == "locked" and self.blocked_by else tried


@contextmanager
def _asking_who_blocks(wait: _Wait, say: Callable[[str], None]) -> Iterator[None]:
    """Where the last try failed for want of a lock, ask during this one who holds it."""
    url = wait.blocked_in
    if url is None:
        yield
        return
    from sql.engine.connection import connect

    def found(names: str) -> None:
        if names != wait.blocked_by:
            wait.blocked_by = names
            say(f"This run waits in {wait.where} for a lock of {names}.")

    with asking_who_blocks(connect(url), found):
        yield


def _duration(seconds: float) -> str:
    """A duration for people.

    >>> _duration(8), _duration(120)
    ('8 s', '2 minutes')
    """
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} minutes"
