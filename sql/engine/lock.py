"""The lock of a job: one process at a time holds it, on whichever machine.

On PostgreSQL it is an advisory lock, held by a session that does nothing else; behind a pooler, which may give the
session to others between two transactions, by a transaction that stays open. For other databases it is a lock on a
file: beside the database if that is a file, or in a folder of the job. The server or the operating system frees the
lock when its process ends, so nothing expires and no clocks need to agree.
"""

from __future__ import annotations

import fcntl
import os
import socket
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol, TextIO

import sqlalchemy as sa

from sql.engine.connection import storage_errors
from sql.engine.patience import patiently


class Lock(Protocol):
    """The right to run a job."""

    def acquire(self) -> str | None:
        """Try to get the lock, without waiting.

        Returns:
            None where this process has it now; else who holds it, and since when.

        Raises:
            StorageError: where the database does not answer.
        """

    def holder(self) -> str | None:
        """Who holds the lock, and since when, without taking it; None where it is free.

        Raises:
            StorageError: where the database does not answer.
        """

    def is_held(self) -> bool:
        """Whether this process still holds the lock; a database server that restarts forgets it."""

    def release(self) -> None:
        """Let others have the lock; never raises."""


def job_lock(engine: sa.Engine, job: str, folder: Path) -> Lock:
    """The lock of a job, not yet acquired.

    Args:
        engine: The output database; it needs no tables for this.
        job: The job's name.
        folder: Where the lock file goes if the database is neither PostgreSQL nor a SQLite file.
    """
    if engine.dialect.name == "postgresql":
        return AdvisoryLock(engine, f"nightcast job {job}")
    if engine.dialect.name == "sqlite":
        # All names of a database have one lock.
        database = Path(str(engine.url.database)).resolve()
        return FileLock(database.with_name(f".{database.name}.{job}.lock"))
    return FileLock(folder / f".{job}.lock")


class AdvisoryLock:
    """An advisory lock of PostgreSQL, held by a session of its own, or by a transaction behind a pooler."""

    def __init__(self, engine: sa.Engine, name: str) -> None:
        self._engine = engine
        self._name = name
        self._connection: sa.Connection | None = None
        self._release = _RELEASE

    @patiently
    def acquire(self) -> str | None:
        self.release()
        with storage_errors(self._engine.url, "take the job's lock in"):
            self._connection = self._engine.connect()
            try:
                pooled = _is_pooled(self._connection)
                if not pooled:
                    self._connection.rollback()
                    self._connection.execution_options(isolation_level="AUTOCOMMIT")
                session = f"nightcast {os.getpid()} on {socket.gethostname()}"
                self._connection.execute(sa.text(_SETTINGS), {"session": session, "of_transaction": pooled})
                acquire, self._release = (_ACQUIRE_IN_TRANSACTION, "ROLLBACK") if pooled else (_ACQUIRE, _RELEASE)
                if self._connection.scalar(sa.text(acquire), {"name": self._name}):
                    return None
                holder = _holder(self._connection, self._name)
            except sa.exc.SQLAlchemyError:
                self.release()
                raise
        self.release()
        return holder or "another process"

    @patiently
    def holder(self) -> str | None:
        with storage_errors(self._engine.url, "look at the job's lock in"), self._engine.connect() as connection:
            return _holder(connection, self._name)

    def is_held(self) -> bool:
        if self._connection is None:
            return False
        try:
            self._connection.execute(sa.text("SELECT 1"))
        except sa.exc.SQLAlchemyError:
            return False
        return True

    def release(self) -> None:
        if self._connection is not None:
            # A session that is lost already holds no lock. The end of one that is not takes the server a moment.
            with suppress(sa.exc.SQLAlchemyError):
                self._connection.execute(sa.text(self._release))
            with suppress(sa.exc.SQLAlchemyError):
                self._connection.invalidate()
            self._connection.close()
            self._connection = None


def _holder(connection: sa.Connection, name: str) -> str | None:
    found = connection.execute(sa.text(_HOLDER), {"name": name}).first()
    if found is None:
        return None
    program = str(found.application_name or "").removeprefix("nightcast ")
    since = f" since {_time_text(found.backend_start)}" if found.backend_start else ""
    return f"process {program or '?'}{since}"


def _is_pooled(connection: sa.Connection) -> bool:
    """Whether there is a pooler between: the server's session is another one than the driver was told of."""
    told = getattr(getattr(connection.connection.driver_connection, "info", None), "backend_pid", None)
    return bool(told != connection.scalar(sa.text("SELECT pg_backend_pid()")))


# The server notices within a minute that a machine is gone, and never ends this session for being idle.
_SETTINGS = """
    SELECT set_config(name, CASE name WHEN 'application_name' THEN :session WHEN 'tcp_keepalives_idle' THEN '30'
           WHEN 'tcp_keepalives_interval' THEN '10' WHEN 'tcp_keepalives_count' THEN '3' ELSE '0' END, :of_transaction)
    FROM pg_settings
    WHERE name IN ('application_name', 'tcp_keepalives_idle', 'tcp_keepalives_interval', 'tcp_keepalives_count',
                   'idle_session_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout')
"""
_ACQUIRE_IN_TRANSACTION = "SELECT pg_try_advisory_xact_lock(hashtextextended(:name, 0))"
_ACQUIRE = "SELECT pg_try_advisory_lock(hashtextextended(:name, 0))"
_RELEASE = "SELECT pg_advisory_unlock_all()"
_HOLDER = """
    SELECT a.application_name, a.backend_start
    FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
    WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 AND a.datname = current_database()
      AND (CAST(l.classid AS bigint) << 32 | CAST(l.objid AS bigint)) = hashtextextended(:name, 0)
"""


class FileLock:
    """A lock on a file; releasing it removes the file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: TextIO | None = None
        self._made_folder = False

    def acquire(self) -> str | None:
        if not self._path.parent.exists():
            self._path.parent.mkdir(parents=True)
            self._made_folder = True
        looks_left = 10
        while True:
            file = self._path.open("a+", encoding="utf-8")
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                with file:
                    file.seek(0)
                    holder = file.read()
                if looks_left:
                    # Who only looks at the lock has it for an instant, and so must not have a night refused.
                    looks_left -= 1
                    time.sleep(0.01)
                    continue
                return holder or "another process"
            if self._is_at_path(file):
                break
            # The former holder removed the file between opening and locking: try again with a new file.
            file.close()
        holder = f"process {os.getpid()} on {socket.gethostname()} since {_time_text(datetime.now(UTC))}"
        # On a disk that is full the lock holds too, and does not say whose it is.
        with suppress(OSError):
            os.truncate(file.fileno(), 0)
            os.write(file.fileno(), holder.encode())
        self._file = file
        return None

    def holder(self) -> str | None:
        try:
            with self._path.open(encoding="utf-8") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    return file.read() or "another process"
        except FileNotFoundError:
            pass
        return None

    def is_held(self) -> bool:
        return self._file is not None

    def release(self) -> None:
        if self._file is not None:
            with self._file, suppress(OSError):
                self._path.unlink(missing_ok=True)
                if self._made_folder:
                    self._path.parent.rmdir()
            self._file = None

    def _is_at_path(self, file: TextIO) -> bool:
        """Whether the path still names this open file."""
        try:
            return os.path.samestat(os.fstat(file.fileno()), self._path.stat())
        except FileNotFoundError:
            return False


def _time_text(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
