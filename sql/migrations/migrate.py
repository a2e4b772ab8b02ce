"""Migrates the tables of an output database to the newest version, from an empty database or an older version."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from sql.engine.connection import describe, storage_errors, transaction
from sql.engine.patience import patiently
from sql.engine.rights import check_rights, check_rights_to_rows
from sql.errors import StorageError

_FOLDER = Path(__file__).parent
VERSION_TABLE = "nightcast_version"
"""Not the default of Alembic, so that the tables may share a database with another application that uses Alembic."""

_LOCK = 7_417_063_251_034_221
"""The key of an advisory lock of PostgreSQL: any number that no other application uses."""

_ADDED_IN = {"0002": ("actual", "forecast_vs_actual"), "0003": ("scenario",), "0004": ("anomaly", "anomaly_rate")}
"""The tables and views that a migration adds to those of the version before."""


@patiently
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
    with storage_errors(engine.url, "read the version of"), engine.connect() as connection:
        if is_up_to_date(connection):
            return
    with transaction(engine) as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
        upgrade_on(connection, revision)


def is_up_to_date(connection: sa.Connection) -> bool:
    """Whether the tables have the version that this release knows."""
    return _current(connection) == newest_version()


def upgrade_on(connection: sa.Connection, revision: str = "head") -> None:
    """As `migrate`, in the transaction of a connection.

    Raises:
        StorageError: as `migrate`.
        sqlalchemy.exc.SQLAlchemyError: where the database refuses.
    """
    current = _current(connection)
    if current is not None:
        _refuse_newer(connection.engine, current)
    _refuse_foreign_tables(connection, current)
    _upgrade(connection, revision)
    if revision == "head":
        from sql.output.views import write_views

        # Views hold nothing, so no migration describes them: they are those of today.
        write_views(connection)


@patiently
def check_output(engine: sa.Engine) -> None:
    """Check that a night may migrate the tables and write to them; changes nothing.

    Raises:
        NotPermitted: where the user lacks a right, or the database can only be read; PostgreSQL and SQLite only.
        StorageError: as `migrate`.
    """
    from sql.output.tables import metadata

    with storage_errors(engine.url, "look for tables in"), engine.connect() as connection:
        current = _current(connection)
        if current == newest_version():
            check_rights_to_rows(connection, [*metadata.tables])
        else:
            check_rights(connection, [*metadata.tables, VERSION_TABLE] if current is not None else [])
        if current is not None:
            _refuse_newer(engine, current)
        _refuse_foreign_tables(connection, current)


def newest_version() -> str:
    """The version of the tables that this release knows."""
    return max(_known_versions())


def _known_versions() -> set[str]:
    """The versions of this release, by the names of their files: 0001 of `0001_tables.py`."""
    return {file.name.partition("_")[0] for file in (_FOLDER / "versions").glob("[0-9]*_*.py")}


def _upgrade(connection: sa.Connection, revision: str) -> None:
    # Alembic takes a quarter of a second to import, which only the first night of a release needs.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def _current(connection: sa.Connection) -> str | None:
    """The version of the tables; None where there are none of ours."""
    if not sa.inspect(connection).has_table(VERSION_TABLE):
        return None
    current: str | None = connection.scalar(sa.select(sa.column("version_num")).select_from(sa.table(VERSION_TABLE)))
    return current


def _refuse_newer(engine: sa.Engine, current: str) -> None:
    if current not in _known_versions():
        raise StorageError(
            f"The tables in {describe(engine.url)} have version {current!r}, which this release does not know: a newer "
            "release wrote them. Install that release, or name another output.url."
        )


def _refuse_foreign_tables(connection: sa.Connection, current: str | None) -> None:
    from sql.output.tables import metadata
    from sql.output.views import VIEWS

    ours = {name for version, names in _ADDED_IN.items() if current is None or version > current for name in names}
    if current is None:
        ours |= {*metadata.tables, *VIEWS}
    inspector = sa.inspect(connection)
    foreign = sorted(ours & {*inspector.get_table_names(), *inspector.get_view_names()})
    if foreign:
        raise StorageError(
            f"{describe(connection.engine.url)} already has tables of another application with names that nightcast "
            f"needs: {', '.join(foreign)}. Name another database in output.url."
        )
