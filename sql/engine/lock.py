"""A job's turn: one process at a time has it, on whatever machine, and it is free the moment that process is gone.

On PostgreSQL it is an advisory lock of a session that does nothing else; anywhere else a lock on a file, beside the
database where that is a file too. The server and the system free them by themselves: there is nothing that expires,
and no clock to agree on.
"""

from __future__ import annotations

import fcntl
import os
import socket
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol, TextIO

import sqlalchemy as sa

from sql.engine.connection import storage_errors


class Turn(Protocol):
    """The right to run a job."""

    def take(self) -> str | None:
        """Take the turn; gives None, or who has it and since when.

        Raises:
            StorageError: where the database does not answer.
        """

    def is_held(self) -> bool:
        """Whether it is still ours: a server that was restarted has forgotten it."""

    def give_back(self) -> None:
        """Let others have it; never raises."""


def turn_of(engine: sa.Engine, job: str, folder: Path) -> Turn:
    """The turn of a job.

    Args:
        engine: The output database, which needs no tables for this.
        job: The job's name.
        folder: Where the file lies for databases that are neither PostgreSQL nor a file.
    """
    if engine.dialect.name == "postgresql":
        return SessionTurn(engine, f"nightcast job {job}")
    if engine.dialect.name == "sqlite":
        database = Path(str(engine.url.database))
        return FileTurn(database.with_name(f".{database.name}.{job}.lock"))
    return FileTurn(folder / f".{job}.lock")


class SessionTurn:
    """An advisory lock of PostgreSQL, held by a session of its own."""

    def __init__(self, engine: sa.Engine, name: str) -> None:
        self._engine = engine
        self._name = name
        self._connection: sa.Connection | None = None

    def take(self) -> str | None:
        self.give_back()
        with storage_errors(self._engine.url, "ask for the job's turn from"):
            self._connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            try:
                who = f"nightcast {os.getpid()} on {socket.gethostname()}"
                self._connection.execute(sa.text(_SETTINGS), {"who": who})
                if self._connection.scalar(sa.text(_TAKE), {"name": self._name}):
                    return None
                holder = self._connection.execute(sa.text(_HOLDER), {"name": self._name}).first()
            except sa.exc.SQLAlchemyError:
                self.give_back()
                raise
        self.give_back()
        if holder is None:
            return "another process"
        name = str(holder.application_name or "").removeprefix("nightcast ")
        return f"process {name or '?'}" + (f" since {_words(holder.backend_start)}" if holder.backend_start else "")

    def is_held(self) -> bool:
        if self._connection is None:
            return False
        try:
            self._connection.execute(sa.text("SELECT 1"))
        except sa.exc.SQLAlchemyError:
            return False
        return True

    def give_back(self) -> None:
        if self._connection is not None:
            # What is not there any more holds nothing either.
            with suppress(sa.exc.SQLAlchemyError):
                self._connection.invalidate()
            self._connection.close()
            self._connection = None


# A machine that vanishes is noticed in a minute, and a server that ends idle sessions leaves this one alone.
_SETTINGS = """
    SELECT set_config(name, CASE name WHEN 'application_name' THEN :who WHEN 'tcp_keepalives_idle' THEN '30'
           WHEN 'tcp_keepalives_interval' THEN '10' WHEN 'tcp_keepalives_count' THEN '3' ELSE '0' END, false)
    FROM pg_settings
    WHERE name IN ('application_name', 'tcp_keepalives_idle', 'tcp_keepalives_interval', 'tcp_keepalives_count',
                   'idle_session_timeout')
"""
_TAKE = "SELECT pg_try_advisory_lock(hashtextextended(:name, 0))"
_HOLDER = """
    SELECT a.application_name, a.backend_start
    FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
    WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 AND a.datname = current_database()
      AND (CAST(l.classid AS bigint) << 32 | CAST(l.objid AS bigint)) = hashtextextended(:name, 0)
"""


class FileTurn:
    """A lock on a file, which is gone again when the turn is given back."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: TextIO | None = None
        self._made_folder = False

    def take(self) -> str | None:
        if not self._path.parent.exists():
            self._path.parent.mkdir(parents=True)
            self._made_folder = True
        while True:
            file = self._path.open("a+", encoding="utf-8")
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                with file:
                    file.seek(0)
                    return file.read() or "another process"
            if self._names(file):
                break
            # Whoever had it has taken the file away meanwhile.
            file.close()
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()} since {_words(datetime.now(UTC))}")
        file.flush()
        self._file = file
        return None

    def is_held(self) -> bool:
        return self._file is not None

    def give_back(self) -> None:
        if self._file is not None:
            with self._file, suppress(OSError):
                self._path.unlink(missing_ok=True)
                if self._made_folder:
                    self._path.parent.rmdir()
            self._file = None

    def _names(self, file: TextIO) -> bool:
        try:
            return os.path.samestat(os.fstat(file.fileno()), self._path.stat())
        except FileNotFoundError:
            return False


def _words(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
