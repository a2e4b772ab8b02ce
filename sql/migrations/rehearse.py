"""Try what a night does to its tables, in one transaction that is rolled back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, NamedTuple
from uuid import uuid4

import sqlalchemy as sa

from sql.engine.blockers import asking_who_blocks, held_by
from sql.engine.connection import describe, storage_error, storage_errors
from sql.engine.postgresql import set_lock_timeout
from sql.errors import StorageError
from sql.migrations.migrate import is_up_to_date, upgrade_on
from sql.output.partitions import add_month_on, month_of
from sql.output.publish import add_columns_on
from sql.output.schema import LocalDateTime, UTCDateTime
from sql.output.tables import metadata

_LOCK_SECONDS = 5
_UNDOES_TABLES = ("postgresql", "sqlite")


class Attempt(NamedTuple):
    """One thing that a night does, and whether it would work.

    Attributes:
        what: What was tried, such as "write, rename and delete a file in /srv/forecasts".
        problem: Why it would not work, with the remedy; "" where it would.
        note: Why it was not tried, or what else there is to say; "" for nothing.
    """

    what: str
    problem: str = ""
    note: str = ""


def rehearse(engine: sa.Engine, quantile_columns: Sequence[str], now: datetime) -> list[Attempt]:
    """Try to make or migrate the tables, to add columns and months, and to write a row into each table and remove it.

    Nothing of it stays, and nobody sees it. A database that cannot take back a new table is only asked for the rights
    to rows.

    Args:
        engine: The output database; a SQLite file must exist.
        quantile_columns: Those that the job writes.
        now: The month of this moment and the next one are tried.

    Raises:
        StorageError: where the database does not answer.
    """
    undoes, where = engine.dialect.name in _UNDOES_TABLES, describe(engine.url)
    done = list[Attempt]()
    with storage_errors(engine.url, "try to write to"), engine.connect() as plain:
        connection = plain.execution_options(sqlite_begin="BEGIN IMMEDIATE")
        whole = connection.begin()
        try:
            if engine.dialect.name == "postgresql":
                # A night that runs now must not wait for this.
                connection.exec_driver_sql(set_lock_timeout(_LOCK_SECONDS))
            rehearsal = _Rehearsal(connection, done)
            if not undoes:
                note = "not tried, because this database cannot take back a new table; the first night shows it"
                done.append(Attempt(f"make and migrate tables in {where}", note=note))
            elif not is_up_to_date(connection):
                rehearsal.attempt(f"make or migrate the tables in {where}", upgrade_on)
            if done and (done[-1].problem or (not undoes and not is_up_to_date(connection))):
                return done
            rehearsal.attempt_rows(where, real=undoes)
            if undoes:
                rehearsal.attempt(
                    "add a column for each quantile level that is new", lambda on: add_columns_on(on, quantile_columns)
                )
            if engine.dialect.name == "postgresql":
                for month in (now, month_of(now)[1]):
                    what = f"add the partition of {month:%Y-%m} to forecast"
                    rehearsal.attempt(what, partial(add_month_on, month=month))
        finally:
            whole.rollback()
    return done


class _Rehearsal:
    """Attempts on one connection, each in a savepoint, so that one failure does not hide the next."""

    def __init__(self, connection: sa.Connection, done: list[Attempt]) -> None:
        self._connection, self._done = connection, done

    def attempt(self, what: str, act: Callable[[sa.Connection], Any]) -> None:
        """Note whether an act works."""
        self._done.append(Attempt(what, self._problem_of(act)))

    def attempt_rows(self, where: str, *, real: bool) -> None:
        """Note whether rows of every table can be written, changed, read and deleted; without `real`, of no rows."""
        act = _write_row if real else _write_no_row
        problems = {name: self._problem_of(partial(act, table=table)) for name, table in metadata.tables.items()}
        failed = {name: problem for name, problem in problems.items() if problem}
        problem = ""
        if failed:
            # One reason mostly holds for all of them.
            problem = f"{', '.join(failed)}: {next(iter(failed.values()))}"
        self._done.append(Attempt(f"write, change and delete rows of every table in {where}", problem))

    def _problem_of(self, act: Callable[[sa.Connection], Any]) -> str:
        engine, names = self._connection.engine, list[str]()
        try:
            with asking_who_blocks(engine, names.append), self._connection.begin_nested():
                act(self._connection)
        except StorageError as error:
            found = error
        except sa.exc.SQLAlchemyError as error:
            found = storage_error(engine.url, "try to write to", error)
        else:
            return ""
        return f"{found} {held_by(names[-1])}" if names and found.passes == "locked" else str(found)


def _write_row(connection: sa.Connection, table: sa.Table) -> None:
    row = {column.name: _value_of(column) for column in table.c}
    night = sa.and_(*(column == row[column.name] for column in table.primary_key))
    if table.name == "forecast" and connection.dialect.name == "postgresql":
        # There may be no partition for this moment, which is tried apart.
        _write_no_row(connection, table)
        return
    connection.execute(table.insert().values(row))
    connection.execute(table.update().where(night).values({name: row[name] for name in list(row)[-1:]}))
    connection.execute(sa.select(table).where(night)).all()
    connection.execute(table.delete().where(night))


def _write_no_row(connection: sa.Connection, table: sa.Table) -> None:
    """Statements of no row, for which a database asks for the same rights."""
    none, last = sa.false(), list(table.c)[-1]
    columns = [*table.c]
    connection.execute(table.insert().from_select(columns, sa.select(*columns).where(none), include_defaults=False))
    connection.execute(table.update().where(none).values({last.name: last}))
    connection.execute(table.delete().where(none))


def _value_of(column: sa.Column[Any]) -> Any:
    """A value that a column takes, and that no job has."""
    kind = column.type
    if isinstance(kind, UTCDateTime | LocalDateTime | sa.DateTime):
        return datetime(2000, 1, 1, tzinfo=UTC)
    if isinstance(kind, sa.Boolean):
        return False
    if isinstance(kind, sa.Integer):
        return 0
    if isinstance(kind, sa.Numeric | sa.Double):
        return 0.0
    if isinstance(kind, sa.JSON):
        return {}
    return b"" if isinstance(kind, sa.LargeBinary) else f"nightcast check {uuid4().hex}"
