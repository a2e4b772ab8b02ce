"""Ways into a database: SQLAlchemy for everything small, ADBC for bulk rows.

PostgreSQL and SQLite have an ADBC driver; every other SQLAlchemy URL works without.
Connections are opened when needed and closed at once: a night trains for minutes between
its reads and its writes, and firewalls drop what stays silent for so long.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import adbc_driver_manager
import adbc_driver_manager.dbapi
import sqlalchemy as sa
from sqlalchemy import exc, pool

from sql.engine.url import SOURCES_ONLY, describe, resolve_url
from sql.errors import SourceError, StorageError, Unreachable

__all__ = [
    "adbc_connection", "adbc_source_connection", "connect", "connect_source", "describe", "ping", "resolve_url",
    "storage_errors", "transaction",
]  # fmt: skip

BUSY_SECONDS = 30
"""How long a writer waits for another writer of the same SQLite file."""

POSTGRESQL_SETUP = (
    "run `pip install adbc-driver-postgresql 'psycopg[binary]'` (in a clone of the project: "
    "`.venv/bin/uv pip install --python .venv/bin/python --require-hashes -r requirements/postgres.txt`)"
)
"""How to install the drivers of PostgreSQL, as the end of a sentence."""

_REMEDIES = {
    "database is locked": "Another process is writing to it: try again later.",
    "file is not a database": "Name another file in the URL, or move this one away.",
}

_POSTGRESQL_DEFAULTS = {
    "connect_timeout": "5",
    # A server that vanishes in the middle of a query is noticed in half a minute, not in two hours.
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
}


@lru_cache(maxsize=32)
def connect(url: sa.URL) -> sa.Engine:
    """An engine that may write. A SQLite file's folder is made; the file itself on first use.

    Raises:
        SourceError: where no driver is installed for the URL.
        StorageError: where the folder cannot be made.
    """
    if url.get_backend_name() == "sqlite":
        folder = Path(str(url.database)).parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(
                f"Cannot make the folder {folder} of {describe(url)}: {error.strerror}. "
                "Name a folder that may be written in the job's URL."
            ) from error
        return _sqlite_engine(url, _sqlite_writer)
    if url.get_backend_name() == "postgresql":
        return _create_engine(url, connect_args=_postgresql_defaults(url))
    return _create_engine(url)


@lru_cache(maxsize=32)
def connect_source(url: sa.URL) -> sa.Engine:
    """An engine that cannot write on SQLite and PostgreSQL; elsewhere it only ever gets SELECTs.

    Raises:
        SourceError: where the SQLite file does not exist, or no driver is installed for the URL.
    """
    if url.get_backend_name() == "sqlite":
        check_file(url)
        return _sqlite_engine(url, _sqlite_reader)
    if url.get_backend_name() == "postgresql":
        return _create_engine(url, connect_args=_postgresql_defaults(url) | _read_only(url))
    return _create_engine(url)


def _read_only(url: sa.URL) -> dict[str, str]:
    return {"options": f"{url.query.get('options', '')} -c default_transaction_read_only=on".strip()}


def _postgresql_defaults(url: sa.URL) -> dict[str, str]:
    return {key: value for key, value in _POSTGRESQL_DEFAULTS.items() if key not in url.query}


def check_file(url: sa.URL, kind: str = "SQLite") -> None:
    """Raise SourceError where a database's file is not there."""
    if not Path(str(url.database)).is_file():
        raise SourceError(
            f"There is no {kind} file {url.database}. Check the source's URL: a relative path starts from the "
            "folder of the job file. `nightcast import` makes a database from a CSV or Parquet file."
        )


def _create_engine(url: sa.URL, **options: Any) -> sa.Engine:
    if url.get_backend_name() in SOURCES_ONLY:
        raise SourceError(
            f"{describe(url)} can be a source, but nothing is written there: "
            "give the URL of a database such as sqlite:///name.db or postgresql://host/database."
        )
    try:
        return sa.create_engine(url, poolclass=pool.NullPool, **options)
    except exc.NoSuchModuleError:
        raise SourceError(
            f"SQLAlchemy knows no database {url.drivername!r} ({describe(url)}). "
            "Check the URL's beginning, or install the database's SQLAlchemy dialect."
        ) from None
    except ImportError as error:
        remedy = POSTGRESQL_SETUP if url.get_backend_name() == "postgresql" else "install it"
        raise SourceError(f"The driver for {describe(url)} is not installed ({error}): {remedy}.") from None


def _sqlite_engine(url: sa.URL, open_file: Callable[[str], sqlite3.Connection]) -> sa.Engine:
    path = str(url.database)
    engine = _create_engine(url, creator=lambda: open_file(path))

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        # The driver's own implicit transactions leave out DDL; begin them here instead.
        connection.exec_driver_sql(connection.get_execution_options().get("sqlite_begin", "BEGIN"))

    return engine


def _sqlite_writer(path: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        # Readers of last night's forecasts do not wait for tonight's writer.
        connection.execute("PRAGMA journal_mode = WAL")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _sqlite_reader(path: str) -> sqlite3.Connection:
    return sqlite3.connect(
        _read_only_uri(path), uri=True, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )


def _read_only_uri(path: str) -> str:
    return f"file:{quote(path)}?mode=ro"


def adbc_connection(url: sa.URL) -> adbc_driver_manager.dbapi.Connection | None:
    """A connection for bulk rows that may write, in a transaction; None where there is no driver."""
    return _adbc(url, str(url.database))


def adbc_source_connection(url: sa.URL) -> adbc_driver_manager.dbapi.Connection | None:
    """A connection for bulk rows that cannot write; None where there is no driver."""
    if url.get_backend_name() == "sqlite":
        check_file(url)
        return _adbc(url, _read_only_uri(str(url.database)))
    return _adbc(url.update_query_dict(_read_only(url)), "") if url.get_backend_name() == "postgresql" else None


def _adbc(url: sa.URL, sqlite_uri: str) -> adbc_driver_manager.dbapi.Connection | None:
    if url.get_backend_name() == "sqlite":
        import adbc_driver_sqlite.dbapi

        connection = adbc_driver_sqlite.dbapi.connect(sqlite_uri)
        try:
            with connection.cursor() as cursor:
                cursor.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")
        except adbc_driver_manager.Error:
            connection.close()
            raise
        return connection
    if url.get_backend_name() == "postgresql":
        try:
            import adbc_driver_postgresql.dbapi
        except ImportError:
            return None
        url = url.set(drivername="postgresql").update_query_dict(_postgresql_defaults(url))
        address, mark, query = url.render_as_string(hide_password=False).partition("?")
        # SQLAlchemy writes a space as "+", which libpq takes for a plus; a true plus is "%2B" already.
        opened: adbc_driver_manager.dbapi.Connection = adbc_driver_postgresql.dbapi.connect(
            address + mark + query.replace("+", "%20")
        )
        return opened
    return None


def ping(engine: sa.Engine) -> None:
    """Ask the database for an answer.

    Raises:
        Unreachable: where none comes within seconds.
    """
    # SQLite would answer SELECT 1 without opening the file.
    question = "SELECT 1 FROM sqlite_master WHERE 1 = 0" if engine.dialect.name == "sqlite" else "SELECT 1"
    try:
        with engine.connect() as connection:
            connection.exec_driver_sql(question)
    except exc.SQLAlchemyError as error:
        raise Unreachable(str(storage_error(engine.url, "reach", error)), describe(engine.url)) from error


@contextmanager
def transaction(engine: sa.Engine) -> Iterator[sa.Connection]:
    """One transaction that writes: all of it is kept, or nothing.

    Raises:
        StorageError: where the database refuses.
    """
    with (
        storage_errors(engine.url, "write to"),
        # IMMEDIATE: wait for another writer now, rather than fail when the first row is written.
        engine.connect().execution_options(sqlite_begin="BEGIN IMMEDIATE") as connection,
        connection.begin(),
    ):
        yield connection


@contextmanager
def storage_errors(url: sa.URL, doing: str) -> Iterator[None]:
    """Turn what a driver raises into a StorageError: what was being done, where, and why it failed."""
    try:
        yield
    except (exc.SQLAlchemyError, adbc_driver_manager.Error) as error:
        raise storage_error(url, doing, error) from error


def storage_error(url: sa.URL, doing: str, error: Exception) -> StorageError:
    """The error to raise for a driver's own, without the password and the statement."""
    cause = getattr(error, "orig", None) or error
    reason = " ".join(str(cause).split()).rstrip(".? ")
    if url.password:
        reason = reason.replace(str(url.password), "***")
    remedies = (remedy for words, remedy in _REMEDIES.items() if words in reason)
    remedy = next(remedies, "Check that it runs, can be reached from here, and grants what is needed.")
    return StorageError(f"Could not {doing} the database {describe(url)}: {reason}. {remedy}")
