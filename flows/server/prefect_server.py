"""Prefect's command line for the server of `nightcast serve`, whose automations wait for a lock of its SQLite file.

Prefect 3.8 evaluates the trigger of an automation in a transaction that first reads and then writes. If another part of
the server writes in between, SQLite refuses at once with "database is locked", however long the timeout is. Prefect
evaluates the event again, three times at most, and logs a traceback each time. A transaction that takes the lock when
it begins waits instead.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from prefect.server.database import provide_database_interface
from prefect.server.database.configurations import SQLITE_BEGIN_MODE
from prefect.server.events import triggers


@asynccontextmanager
async def automations_session(begin_transaction: bool = False) -> AsyncGenerator[Any, None]:
    """As Prefect's function of this name; its transaction takes the lock of a SQLite file when it begins."""
    database = provide_database_interface()
    async with database.session_context() as session:
        if not begin_transaction:
            yield session
            return
        async with session.begin():
            # Tasks that start later inherit this variable, and must not take the lock when they only read.
            token = SQLITE_BEGIN_MODE.set("IMMEDIATE")
            try:
                await session.connection()
            finally:
                SQLITE_BEGIN_MODE.reset(token)
            yield session


def let_triggers_wait() -> None:
    """Let the triggers of this process use `automations_session`."""
    triggers.automations_session = automations_session  # type: ignore[attr-defined]


if __name__ == "__main__":
    from prefect.cli import app

    let_triggers_wait()
    app()
