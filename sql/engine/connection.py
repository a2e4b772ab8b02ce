"""Connections to a database: SQLAlchemy for everything small, ADBC for bulk rows.

PostgreSQL and SQLite have an ADBC driver. Other databases are reached through SQLAlchemy only.
A connection is opened when it is needed and closed right after: a night trains for minutes between
its reads and its writes, and firewalls drop connections that are idle for so long.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import adbc_driver_manager
import adbc_driver_manager.dbapi
import sqlalchemy as sa
from sqlalchemy import exc, pool

from sql.engine import postgresql
from sql.engine.outage import is_denied, is_out_of_space, passes
from sql.engine.patience import before_writing, note_answer, patiently
from sql.engine.sqlite import read_only_uri
from sql.engine.url import IN_FILES, SOURCES_ONLY, describe, hide_secrets, resolve_url
from sql.errors import NotPermitted, SourceError, StorageError, StorageFull, Unreachable
from sql.full_disk import no_space

__all__ = [
    "adbc_connection", "adbc_source_connection", "connect", "connect_source", "describe", "ping", "resolve_url",
    "storage_errors", "transaction",
]  # fmt: skip

BUSY_SECONDS = 30
"""Seconds that a writer waits for another writer of the same SQLite file."""

POSTGRESQL_SETUP = (
    "run `pip install adbc-driver-postgresql 'psycopg[binary]'` (in a clone of the project: "
    "`.venv/bin/uv pip install --python .venv/bin/python --require-hashes -r requirements/postgres.txt`)"
)
"""How to install the drivers of PostgreSQL, as the end of a sentence."""

READABLE = "Check that this user may read the file, and may enter its folder."
"""What to do where the operating system does not let a file be read."""

_LONGEST_REASON = 1_000
_REMEDIES = {
    "database is locked": "Another process is writing to it.",
    "lock timeout": "Another session holds a lock that it needs.",
    "starting up": "Try again when it has started.",
    "shutting down": "Try again when it runs again.",
    "unable to open database file": READABLE,
    "file is not a database": "Name another file in the URL, or move this file away.",
}

# Drivers that need no compiler, unlike some that SQLAlchemy takes where the URL names none.
_OTHER_DRIVERS = {
    "mysql": "mysql+pymysql", "mariadb": "mariadb+pymysql", "oracle": "oracle+oracledb", "mssql": "mssql+pymssql",
}  # fmt: skip


@lru_cache(maxsize=32)
def connect(url: sa.URL) -> sa.Engine:
    """An engine that may write. The folder of a SQLite file is created now, the file on first use.

    Raises:
        SourceError: where no driver is installed for the URL.
        StorageError: where the folder cannot be created.
    """
    if url.get_backend_name() == "sqlite":
        folder = Path(str(url.database)).parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(
                f"Cannot create the folder {folder} for {describe(url)}: {error.strerror}. "
                "Name a folder in the URL that this user may write to."
            ) from error
        return _sqlite_engine(url, _sqlite_writer)
    if url.get_backend_name() == "postgresql":
        engine = _create_engine(url, connect_args=postgresql.connect_args(url))
        return postgresql.with_lock_timeout(engine)
    return _with_lock_timeout(_create_engine(url))


@lru_cache(maxsize=32)
def connect_source(url: sa.URL) -> sa.Engine:
    """An engine for reading: SQLite and PostgreSQL refuse to write through it, other databases get only SELECTs.

    On PostgreSQL, the execution option `time_zone` is the zone of each transaction.

    Raises:
        SourceError: where the SQLite file does not exist, or no driver is installed for the URL.
    """
    if url.get_backend_name() == "sqlite":
        check_file(url)
        return _sqlite_engine(url, _sqlite_reader)
    if url.get_backend_name() == "postgresql":
        args = postgresql.connect_args(url)
        engine = postgresql.with_time_zone(
            postgresql.with_lock_timeout(_create_engine(url, connect_args=args, execution_options=postgresql.READ_ONLY))
        )
        return postgresql.with_extreme_times(engine) if url.get_driver_name() == "psycopg" else engine
    return _with_lock_timeout(_create_engine(url))


def check_file(url: sa.URL, kind: str = "SQLite") -> None:
    """Raise SourceError where the file of a database does not exist, NotPermitted where its folder is closed."""
    try:
        exists = Path(str(url.database)).is_file()
    except PermissionError as error:
        raise storage_error(url, "read from", error) from error
    if not exists:
        raise SourceError(
            f"There is no {kind} file {url.database}. Check the URL of the source: a relative path starts from the "
            "folder of the job file. `nightcast import` creates a database from a CSV or Parquet file."
        )


def _create_engine(url: sa.URL, **options: Any) -> sa.Engine:
    if url.get_backend_name() in SOURCES_ONLY:
        raise SourceError(
            f"{describe(url)} can be a source, but not an output. "
            "Give the URL of a database such as sqlite:///name.db or postgresql://host/database."
        )
    try:
        engine = sa.create_engine(url, poolclass=pool.NullPool, **options)
        sa.event.listen(engine, "connect", lambda *_: note_answer(url))
        return engine
    except exc.NoSuchModuleError:
        raise SourceError(
            f"SQLAlchemy knows no database {url.drivername!r} ({describe(url)}). "
            "Check the beginning of the URL, or install the SQLAlchemy dialect of the database."
        ) from None
    except ImportError as error:
        other = _OTHER_DRIVERS.get(url.get_backend_name())
        remedy = f"install it, or name another one in the URL, such as {other}://" if other else "install it"
        if url.get_backend_name() == "postgresql":
            remedy = POSTGRESQL_SETUP
        raise SourceError(f"The driver for {describe(url)} is not installed ({error}): {remedy}.") from None


def _with_lock_timeout(engine: sa.Engine) -> sa.Engine:
    """The engine; MySQL would wait for a year for a table that another session has locked."""
    if engine.dialect.name in ("mysql", "mariadb"):

        @sa.event.listens_for(engine, "connect")
        def connected(connection: Any, _: object) -> None:
            with closing(connection.cursor()) as cursor:
                seconds = postgresql.LOCK_SECONDS
                cursor.execute(f"SET SESSION lock_wait_timeout = {seconds}, innodb_lock_wait_timeout = {seconds}")

    return engine


def _sqlite_engine(url: sa.URL, open_file: Callable[[str], sqlite3.Connection]) -> sa.Engine:
    path = str(url.database)
    engine = _create_engine(url, creator=lambda: open_file(path))

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        # The implicit transactions of the driver exclude DDL, so every transaction begins here.
        connection.exec_driver_sql(connection.get_execution_options().get("sqlite_begin", "BEGIN"))

    return engine


def _sqlite_writer(path: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        # With a write-ahead log, readers do not wait for a writer.
        connection.execute("PRAGMA journal_mode = WAL")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _sqlite_reader(path: str) -> sqlite3.Connection:
    return sqlite3.connect(
        read_only_uri(path), uri=True, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )


def adbc_connection(url: sa.URL) -> adbc_driver_manager.dbapi.Connection | None:
    """A connection for bulk rows that may write, in a transaction; None for a database without an ADBC driver."""
    return _adbc(url, str(url.database))


def adbc_source_connection(url: sa.URL) -> adbc_driver_manager.dbapi.Connection | None:
    """A connection for bulk rows that cannot write; None for a database without an ADBC driver.

    On PostgreSQL all reads belong to one transaction, which is read-only until the connection is closed.
    """
    if url.get_backend_name() == "sqlite":
        check_file(url)
        return _adbc(url, read_only_uri(str(url.database)))
    return _adbc(url, "", ("SET TRANSACTION READ ONLY",)) if url.get_backend_name() == "postgresql" else None


def _adbc(url: sa.URL, sqlite_uri: str, first: Sequence[str] = ()) -> adbc_driver_manager.dbapi.Connection | None:
    if url.get_backend_name() == "sqlite":
        import adbc_driver_sqlite.dbapi

        return _after(adbc_driver_sqlite.dbapi.connect(sqlite_uri), [f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}"])
    if url.get_backend_name() == "postgresql":
        try:
            import adbc_driver_postgresql.dbapi
        except ImportError:
            return None
        connection = adbc_driver_postgresql.dbapi.connect(postgresql.libpq_uri(url))
        note_answer(url)
        return _after(connection, [*first, postgresql.set_lock_timeout()])
    return None


def _after(
    connection: adbc_driver_manager.dbapi.Connection, statements: Sequence[str]
) -> adbc_driver_manager.dbapi.Connection:
    """The connection after some statements."""
    try:
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
    except adbc_driver_manager.Error:
        connection.close()
        raise
    return connection


@patiently
def ping(engine: sa.Engine) -> None:
    """Check that the database answers.

    Raises:
        Unreachable: where it does not answer.
    """
    # SQLite answers SELECT 1 without opening the file.
    question = "SELECT 1 FROM sqlite_master WHERE 1 = 0" if engine.dialect.name == "sqlite" else "SELECT 1"
    try:
        with engine.connect() as connection:
            connection.exec_driver_sql(question)
    except exc.SQLAlchemyError as error:
        found = storage_error(engine.url, "reach", error)
        unreachable = Unreachable(str(found), describe(engine.url))
        unreachable.passes, unreachable.url = found.passes, found.url
        raise unreachable from error


@contextmanager
def transaction(engine: sa.Engine) -> Iterator[sa.Connection]:
    """One transaction that writes everything or nothing.

    Raises:
        StorageError: where the database refuses.
        Exception: of the check before writing, see `checked_before_writing`.
    """
    before_writing()
    with (
        storage_errors(engine.url, "write to"),
        # IMMEDIATE: wait for another writer now instead of failing at the first row.
        engine.connect().execution_options(sqlite_begin="BEGIN IMMEDIATE") as connection,
        connection.begin(),
    ):
        yield connection


@contextmanager
def storage_errors(url: sa.URL, doing: str) -> Iterator[None]:
    """Turn the errors of a driver into a StorageError that says what failed, where and why."""
    try:
        yield
    except (exc.SQLAlchemyError, adbc_driver_manager.Error) as error:
        raise storage_error(url, doing, error) from error


def storage_error(url: sa.URL, doing: str, error: Exception) -> StorageError:
    """The StorageError for an error of a driver, without the password and the statement."""
    found = _storage_error(url, doing, error)
    found.url = url
    if not isinstance(found, NotPermitted | StorageFull):
        found.passes = passes(error, url)
    return found


def _storage_error(url: sa.URL, doing: str, error: Exception) -> StorageError:
    cause = getattr(error, "orig", None) or error
    # Drivers add the statement, which may be long, or a line of it.
    words = re.split(r" query(?: was)?:| LINE \d+: ", " ".join(str(cause).split()), maxsplit=1, flags=re.IGNORECASE)[0]
    reason = hide_secrets(words.rstrip(".? "), url)[:_LONGEST_REASON]
    message = f"Could not {doing} the database {describe(url)}: {reason}."
    if is_denied(error, url):
        remedy = "Grant this right to the user of the URL, or name another user."
        if url.get_backend_name() == "sqlite":
            remedy = "Make the file and its folder writable, or end the program that was writing to it."
        return NotPermitted(f"{message} {remedy}")
    if url.get_backend_name() in IN_FILES and "Permission denied" in reason:
        return NotPermitted(f"{message} {READABLE}")
    if is_out_of_space(error, url):
        if url.get_backend_name() == "sqlite":
            return StorageFull(f"{message} There is {no_space(Path(str(url.database)).parent)}")
        return StorageFull(f"{message} There is no space left on the disk of its server. Free some there.")
    remedies = (remedy for cause, remedy in _REMEDIES.items() if cause in reason)
    remedy = next(remedies, "Check that it runs, that this machine can reach it, and that the user may do this.")
    return StorageError(f"{message} {remedy}")
