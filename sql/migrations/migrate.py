"""Brings the tables of an output database to the newest version, from nothing or from an older one."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import command, util
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from sql.engine.connection import describe, storage_errors, transaction
from sql.errors import StorageError

VERSION_TABLE = "nightcast_version"
"""Not Alembic's own default, so that the tables may share a database with another application's."""

_LOCK = 7_417_063_251_034_221
"""Any number that no other application takes for an advisory lock of PostgreSQL."""


def migrate(engine: sa.Engine, revision: str = "head") -> None:
    """Upgrade the tables in one transaction; nothing happens where they are up to date.

    Two processes may do so at once: the second waits, then finds nothing to do.

    Args:
        engine: The output database.
        revision: How far; all the way if left out.

    Raises:
        StorageError: where the database does not answer, was migrated by a newer release, or holds
            a table of the same name that is somebody else's.
    """
    config = _config()
    with storage_errors(engine.url, "read the version of"), engine.connect() as connection:
        if _current(connection) == newest_version():
            return
    with transaction(engine) as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
        if _current(connection) is None:
            _refuse_foreign_tables(engine, connection)
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, revision)
        except util.CommandError as error:
            raise StorageError(
                f"The tables in {describe(engine.url)} have version {_current(connection)!r}, which this release "
                "does not know: a newer one wrote them. Install that release, or name another output.url."
            ) from error


def newest_version() -> str:
    """The version of the tables that this release knows."""
    return str(ScriptDirectory.from_config(_config()).get_current_head())


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    return config


def _current(connection: sa.Connection) -> str | None:
    context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
    return context.get_current_revision()


def _refuse_foreign_tables(engine: sa.Engine, connection: sa.Connection) -> None:
    from sql.output.tables import metadata

    inspector = sa.inspect(connection)
    foreign = sorted(set(metadata.tables) & {*inspector.get_table_names(), *inspector.get_view_names()})
    if foreign:
        raise StorageError(
            f"{describe(engine.url)} already holds tables of another application under names that forecasts need: "
            f"{', '.join(foreign)}. Name another database in output.url."
        )
