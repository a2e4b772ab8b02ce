"""The server of `nightcast serve`: triggers of automations do not fail while the server writes elsewhere."""

import inspect
import os
import subprocess
import sys

from prefect.server.events import triggers

# A trigger reads; another part of the server writes meanwhile; then the trigger writes.
PROGRAM = """
import asyncio
import sqlalchemy as sa
from prefect.server.database import provide_database_interface
from prefect.server.database.configurations import SQLITE_BEGIN_MODE
from prefect.server.events import triggers
from flows.server.prefect_server import let_triggers_wait

async def write(session, name):
    statement = "INSERT INTO configuration (key, value, id) VALUES (:key, '{}', :key)"
    await session.execute(sa.text(statement), {"key": name})

async def other(name):
    async with provide_database_interface().session_context(begin_transaction=True) as session:
        await write(session, name)

async def evaluate(name):
    async with triggers.automations_session(begin_transaction=True) as session:
        # A task that starts here must not take the lock when it only reads.
        assert SQLITE_BEGIN_MODE.get() != "IMMEDIATE"
        await session.execute(sa.text("SELECT count(*) FROM configuration"))
        meanwhile = asyncio.create_task(other(f"beside {name}"))
        # Where nobody holds the lock, the other part has written before this one goes on.
        await asyncio.wait([meanwhile], timeout=60 if name == "as it is" else 1)
        await write(session, name)
    await meanwhile

async def main():
    await provide_database_interface().create_db()
    try:
        await evaluate("as it is")
    except sa.exc.OperationalError as error:
        print(error.orig)
    let_triggers_wait()
    await evaluate("mended")
    async with provide_database_interface().session_context() as session:
        print((await session.execute(sa.text("SELECT key FROM configuration WHERE value = '{}' ORDER BY key"))).all())

asyncio.run(main())
"""


def test_a_trigger_waits_while_another_part_of_the_server_writes(tmp_path):
    environment = os.environ | {"PREFECT_HOME": str(tmp_path), "PREFECT_LOGGING_LEVEL": "CRITICAL"}
    environment.pop("PREFECT_API_URL", None)
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    # If the first line is missing after an upgrade of Prefect, flows/server/prefect_server.py is not needed any more.
    assert done.stdout.splitlines() == [
        "database is locked",
        "[('beside as it is',), ('beside mended',), ('mended',)]",
    ]


def test_prefect_still_opens_the_transactions_of_triggers_with_that_function():
    assert "automations_session(begin_transaction=True)" in inspect.getsource(triggers)
