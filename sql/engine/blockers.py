"""Which sessions of PostgreSQL hold the locks that this process waits for."""

from __future__ import annotations

import contextvars
import os
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC
from typing import Any

import sqlalchemy as sa

from sql.errors import StorageError

_LONGEST_QUERY = 80
_SECONDS_BEFORE_ASKING = 1.0
# What stands in quotes may be a password, and the server may have cut the query within the quotes.
_LITERAL = re.compile(r"'(?:[^']|'')*(?:'|$)|\$(\w*)\$.*?(?:\$\1\$|$)", re.DOTALL)

_BLOCKERS = """
    SELECT DISTINCT b.pid, b.application_name, b.usename, b.state, b.query, b.xact_start
    FROM pg_stat_activity w
    CROSS JOIN LATERAL unnest(pg_blocking_pids(w.pid)) AS blocking (pid)
    JOIN pg_stat_activity b ON b.pid = blocking.pid
    WHERE w.datname = current_database() AND w.wait_event_type = 'Lock' AND w.application_name = :name
    ORDER BY b.xact_start NULLS LAST, b.pid
    LIMIT 3
"""


def session_name(url: sa.URL) -> str:
    """The name that this process gives its sessions: that of the URL, or its own number and its machine.

    >>> session_name(sa.make_url("postgresql://host/name?application_name=sales"))
    'sales'
    """
    named = url.query.get("application_name")
    # PostgreSQL keeps 63 bytes.
    return str(named) if named else f"nightcast {os.getpid()} on {socket.gethostname()}"[:63]


@contextmanager
def asking_who_blocks(engine: sa.Engine, found: Callable[[str], None]) -> Iterator[None]:
    """While a block waits for a lock, ask the server who holds it: afterwards nobody waits any more.

    Args:
        engine: The database that the block uses; nothing is asked but PostgreSQL.
        found: Gets the sessions, for people, from another thread.
    """
    if engine.dialect.name != "postgresql":
        yield
        return
    has_ended = threading.Event()

    def ask() -> None:
        # The block may come to its lock late.
        while not has_ended.wait(_SECONDS_BEFORE_ASKING):
            if names := blockers(engine):
                found(names)
                return

    thread = threading.Thread(target=contextvars.copy_context().run, args=(ask,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        has_ended.set()
        thread.join()


def held_by(names: str) -> str:
    """What to do about the sessions that hold a lock, as `blockers` names them."""
    return (
        f"The lock is held by {names}. Let that session end its transaction, or end it: SELECT "
        "pg_terminate_backend(...) with its number, as its user or as a superuser. Then run this again."
    )


def blockers(engine: sa.Engine) -> str:
    """The sessions that sessions of this process wait for now, for people; "" where none can be named."""
    if engine.dialect.name != "postgresql":
        return ""
    try:
        with engine.connect() as connection:
            found = connection.execute(sa.text(_BLOCKERS), {"name": session_name(engine.url)}).all()
    except (sa.exc.SQLAlchemyError, StorageError):
        return ""
    return " and ".join(_in_words(row) for row in found)


def _in_words(session: Any) -> str:
    """One session: its number, program, user, state and query, as far as the server tells them."""
    program = f" ({session.application_name})" if session.application_name else ""
    words = f"process {session.pid}{program} of the user {session.usename!r}"
    if session.state:
        words += f", {session.state}"
    if session.xact_start:
        words += f", in a transaction since {session.xact_start.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    query = query_without_literals(session.query or "")
    return f"{words}, last statement: {query}" if query and "insufficient privilege" not in query else words


def query_without_literals(query: str) -> str:
    """The beginning of a query on one line, with dots in place of all text in quotes.

    >>> query_without_literals("ALTER ROLE me PASSWORD 'secret'")
    "ALTER ROLE me PASSWORD '...'"
    >>> query_without_literals("UPDATE people SET name = 'Bo")
    "UPDATE people SET name = '...'"
    """
    text = " ".join(_LITERAL.sub("'...'", query).split())
    return text if len(text) <= _LONGEST_QUERY else f"{text[: _LONGEST_QUERY - 3]}..."
