"""How PostgreSQL is connected to: with parameters that a pooler such as PgBouncer passes on or never sees.

A pooler in transaction mode gives each transaction any session of the server. Whatever must hold for a read is
therefore set within its transaction: `BEGIN READ ONLY`, `SET LOCAL`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode

import sqlalchemy as sa

from sql.engine.blockers import session_name
from sql.engine.statement import text_literal

READ_ONLY = {"postgresql_readonly": True}
"""Options of an engine: each of its transactions begins with `BEGIN READ ONLY`."""

LOCK_SECONDS = 10
"""Seconds that a statement waits for a lock of another session, before it fails and can be tried again."""

# All of these stay with the client; a pooler refuses parameters that the server would have to keep for a session.
_DEFAULTS = {
    # Whatever the encoding of the database: drivers give bytes where it is SQL_ASCII, which is none.
    "client_encoding": "UTF8",
    "connect_timeout": "5",
    # Notice within half a minute, not two hours, that a server vanished in the middle of a query.
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
}


def connect_args(url: sa.URL) -> dict[str, Any]:
    """What SQLAlchemy passes to the driver beside the URL; drivers that are not made of libpq get nothing."""
    if url.get_driver_name() not in ("psycopg", "psycopg2"):
        return {}
    given = {**_DEFAULTS, "application_name": session_name(url)}
    defaults: dict[str, Any] = {key: value for key, value in given.items() if key not in url.query}
    if url.get_driver_name() == "psycopg":
        # A statement that one session of the server has prepared is unknown to the next one.
        defaults["prepare_threshold"] = None
    return defaults


def with_time_zone(engine: sa.Engine) -> sa.Engine:
    """The engine, whose transactions begin in the zone of the execution option `time_zone`, if there is one."""

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        zone = connection.get_execution_options().get("time_zone")
        if zone is not None:
            # A cursor of the server can only be of a SELECT.
            connection.exec_driver_sql(set_time_zone(zone), execution_options={"stream_results": False})

    return engine


def with_lock_timeout(engine: sa.Engine) -> sa.Engine:
    """The engine, in whose transactions no statement waits longer than `LOCK_SECONDS` for a lock."""

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        if connection.get_execution_options().get("isolation_level") != "AUTOCOMMIT":
            connection.exec_driver_sql(set_lock_timeout(), execution_options={"stream_results": False})

    return engine


def set_lock_timeout(seconds: int | None = None) -> str:
    """The statement that ends waiting for a lock, after `LOCK_SECONDS` if no other time is given.

    A pooler keeps what is set for one transaction only.
    """
    return f"SET LOCAL lock_timeout = '{seconds or LOCK_SECONDS}s'"


def with_extreme_times(engine: sa.Engine) -> sa.Engine:
    """The engine, over psycopg, which gives times that Python cannot hold as its first or last one, not as an error."""
    from psycopg import DataError
    from psycopg.types import datetime as types

    def lenient(loader: type[Any], earliest: Any, latest: Any) -> type[Any]:
        class Lenient(loader):  # type: ignore[misc]
            def load(self, data: Any) -> Any:
                try:
                    return super().load(data)
                except DataError:
                    text = bytes(data)
                    return earliest if text.startswith(b"-") or text.endswith(b"BC") else latest

        return Lenient

    first, last = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
    loaders = {
        "date": lenient(types.DateLoader, first.date(), last.date()),
        "timestamp": lenient(types.TimestampLoader, first.replace(tzinfo=None), last.replace(tzinfo=None)),
        "timestamptz": lenient(types.TimestamptzLoader, first, last),
    }

    @sa.event.listens_for(engine, "connect")
    def connected(connection: Any, _: object) -> None:
        for name, loader in loaders.items():
            connection.adapters.register_loader(name, loader)

    return engine


def set_time_zone(zone: str) -> str:
    """The statement that sets the zone of a transaction, in which PostgreSQL compares times without one.

    >>> set_time_zone("Europe/Madrid")
    "SET LOCAL TIME ZONE 'Europe/Madrid'"
    """
    return f"SET LOCAL TIME ZONE {text_literal(zone)}"


def libpq_uri(url: sa.URL) -> str:
    """The URL as libpq reads it, with its password.

    >>> url = "postgresql://me@/d?host=a:5432&host=b:5433&application_name=sales"
    >>> libpq_uri(sa.make_url(url)).partition("&keep")[0]
    'postgresql://?application_name=sales&client_encoding=UTF8&connect_timeout=5&dbname=d&host=a%2Cb'
    """
    psycopg = url.set(drivername="postgresql+psycopg").get_dialect()()
    parameters = {**_DEFAULTS, "application_name": session_name(url)} | dict(psycopg.create_connect_args(url)[1])
    return f"postgresql://?{urlencode(sorted(parameters.items()), quote_via=quote)}"
