"""The months of `forecast` on PostgreSQL: partitions by cutoff, made when a night needs one, dropped whole.

Months are UTC's. A database from before partitions keeps its nights of then in one partition that has no
beginning; whoever administers the database may add partitions of other lengths, and a default one.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

import sqlalchemy as sa

from sql.engine.connection import storage_errors, transaction
from sql.engine.statement import instant_literal
from sql.output.tables import publication

_LOCK_SECONDS = 5
"""How long to wait for readers before a month is dropped: whoever comes after waits for them too."""


class Partition(NamedTuple):
    """A partition: its name as SQL has it, and the cutoffs that it holds, without `end`; None is no bound."""

    name: str
    begin: datetime | None
    end: datetime | None

    def holds(self, cutoff: datetime) -> bool:
        return (self.begin is None or self.begin <= cutoff) and (self.end is None or cutoff < self.end)


def month_of(moment: datetime) -> tuple[datetime, datetime]:
    """The beginning of a moment's month in UTC, and of the month after it.

    >>> [f"{edge:%Y-%m-%d}" for edge in month_of(datetime(2024, 12, 31, 23, tzinfo=UTC))]
    ['2024-12-01', '2025-01-01']
    """
    begin = moment.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return begin, begin.replace(year=begin.year + begin.month // 12, month=begin.month % 12 + 1)


def partitions(connection: sa.Connection) -> list[Partition]:
    """All partitions of `forecast`, by name."""
    rows = connection.execute(
        sa.text(
            "SELECT CAST(CAST(oid AS regclass) AS text), "
            "CAST(substring(bound FROM 'FROM \\(''([^'']+)''\\)') AS timestamptz), "
            "CAST(substring(bound FROM 'TO \\(''([^'']+)''\\)') AS timestamptz) "
            "FROM (SELECT c.oid, pg_get_expr(c.relpartbound, c.oid) AS bound FROM pg_inherits i "
            "JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = CAST('forecast' AS regclass)) p ORDER BY 1"
        )
    )
    return [Partition(*row) for row in rows]


def add_month(engine: sa.Engine, cutoff: datetime) -> None:
    """Make the partition of a cutoff's month, where there is none; neither readers nor writers wait for it.

    It is kept whatever becomes of the night, and a second night may ask for it at once.

    Raises:
        StorageError: where the database refuses.
    """
    with storage_errors(engine.url, "read the partitions of"), engine.connect() as connection:
        if _is_held(connection, cutoff):
            return
    with transaction(engine) as connection:
        connection.exec_driver_sql("LOCK TABLE ONLY forecast IN SHARE UPDATE EXCLUSIVE MODE")
        if _is_held(connection, cutoff):
            return
        begin, end = month_of(cutoff)
        schema = connection.exec_driver_sql(
            "SELECT CAST(CAST(relnamespace AS regnamespace) AS text) FROM pg_class "
            "WHERE oid = CAST('forecast' AS regclass)"
        ).scalar_one()
        name = f"{schema}.forecast_{begin:%Y_%m}"
        # Made apart and attached, as CREATE ... PARTITION OF would shut readers out of the whole table.
        connection.exec_driver_sql(f"CREATE TABLE {name} (LIKE forecast INCLUDING ALL)")
        connection.exec_driver_sql(
            f"ALTER TABLE forecast ATTACH PARTITION {name} "
            f"FOR VALUES FROM ({instant_literal(begin)}) TO ({instant_literal(end)})"
        )


def drop_months(connection: sa.Connection, job: str, before: datetime) -> None:
    """Drop the partitions that end before or at an instant, but for those in which another job has a night.

    Raises:
        sqlalchemy.exc.OperationalError: where readers do not leave the table within seconds.
    """
    old = [partition for partition in partitions(connection) if partition.end and partition.end <= before]
    if not old:
        return
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{_LOCK_SECONDS}s'")
    # All of the table, and first: readers lock it before its partitions, and would wait for this as this for them.
    # Only then is it sure that nobody is about to publish a night into one of those months.
    connection.exec_driver_sql("LOCK TABLE forecast IN ACCESS EXCLUSIVE MODE")
    for partition in old:
        others = sa.select(publication.c.job).where(publication.c.job != job, publication.c.cutoff < partition.end)
        if partition.begin is not None:
            others = others.where(publication.c.cutoff >= partition.begin)
        if connection.execute(others.limit(1)).first() is None:
            connection.exec_driver_sql(f"DROP TABLE {partition.name}")


def _is_held(connection: sa.Connection, cutoff: datetime) -> bool:
    return any(partition.holds(cutoff) for partition in partitions(connection))
