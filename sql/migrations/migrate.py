"""Migrates the tables of an output database to the newest version, from an empty database or an older version."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import command, util
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from sql.engine.connection import describe, storage_errors, transaction
from sql.engine.rights import check_rights
from sql.errors import StorageError

VERSION_TABLE = "nightcast_version"
"""Not the default of Alembic, so that the tables may share a database with another application that uses Alembic."""

_LOCK = 7_417_063_251_034_221
"""The key of an advisory lock of PostgreSQL: any number that no other application uses."""


def migrate(engine: sa.Engine, revision: str = "head") -> None:
    """Migrate the tables in one transaction; tables that are up to date stay as they are.

    Two processes may migrate at the same time: the second waits, and then has nothing to do.

    Args:
        engine: The output database.
        revision: The version to migrate to; the newest by default.

    Raises:
        StorageError: where the database does not answer, a newer release migrated it, or another application
            has a table of the same name.
    """
    config = _config()
    with storage_errors(engine.url, "read the version of"), engine.connect() as connection:
        if _current(connection) == newest_version():
            return
    with transaction(engine) as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
        current = _current(connection)
        if current is None:
            _refuse_foreign_tables(engine, connection)
        else:
            _refuse_newer(engine, current)
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def check_output(engine: sa.Engine) -> None:
    """Check that a night may migrate the tables and write to them; changes nothing.

    Raises:
        NotPermitted: where the user lacks a right, or the database can only be read; PostgreSQL and SQLite only.
        StorageError: as `migrate`.
    """
    from sql.output.tables import metadata

    with storage_errors(engine.url, "look for tables in"), engine.connect() as connection:
        has_ours = sa.inspect(connection).has_table(VERSION_TABLE)
        check_rights(connection, [*metadata.tables, VERSION_TABLE] if has_ours else [])
        current = _current(connection)
        if current is None:
            _refuse_foreign_tables(engine, connection)
        else:
            _refuse_newer(engine, current)


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


def _refuse_newer(engine: sa.Engine, current: str) -> None:
    try:
        ScriptDirectory.from_config(_config()).get_revision(current)
    except util.CommandError as error:
        raise StorageError(
            f"The tables in {describe(engine.url)} have version {current!r}, which this release does not know: a newer "
            "release wrote them. Install that release, or name another output.url."
        ) from error


def _refuse_foreign_tables(engine: sa.Engine, connection: sa.Connection) -> None:
    from sql.output.tables import metadata

    inspector = sa.inspect(connection)
    foreign = sorted(set(metadata.tables) & {*inspector.get_table_names(), *inspector.get_view_names()})
    if foreign:
        raise StorageError(
            f"{describe(engine.url)} already has tables of another application with names that nightcast needs: "
            f"{', '.join(foreign)}. Name another database in output.url."
        )
