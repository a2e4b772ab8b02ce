"""The partitions of `forecast` on PostgreSQL: one per month of cutoffs, in UTC.

A night creates the partition of its month if there is none. An old month is dropped as a whole. Whoever administers the
database may add partitions of other lengths, and a default partition.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

import sqlalchemy as sa

from sql.engine.connection import storage_errors, transaction
from sql.engine.statement import instant_literal
from sql.output.tables import publication

_LOCK_SECONDS = 5
"""Seconds to wait for readers before dropping a month, while later readers wait too."""


class Partition(NamedTuple):
    """A partition: its name in SQL, and its range of cutoffs, which excludes `end`; None means no bound."""

    name: str
    begin: datetime | None
    end: datetime | None

    def holds(self, cutoff: datetime) -> bool:
        return (self.begin is None or self.begin <= cutoff) and (self.end is None or cutoff < self.end)


def month_of(moment: datetime) -> tuple[datetime, datetime]:
    """The first moment of a month in UTC, and of the month after it.

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
    """Create the partition for the month of a cutoff, if there is none. Readers and writers do not wait for it.

    The partition stays even if the night fails. Two nights may call this at the same time.

    Raises:
        StorageError: where the database refuses.
    """
    with storage_errors(engine.url, "read the partitions of"), engine.connect() as connection:
        if _has_partition(connection, cutoff):
            return
    with transaction(engine) as connection:
        connection.exec_driver_sql("LOCK TABLE ONLY forecast IN SHARE UPDATE EXCLUSIVE MODE")
        if _has_partition(connection, cutoff):
            return
        begin, end = month_of(cutoff)
        schema = connection.exec_driver_sql(
            "SELECT CAST(CAST(relnamespace AS regnamespace) AS text) FROM pg_class "
            "WHERE oid = CAST('forecast' AS regclass)"
        ).scalar_one()
        name = f"{schema}.forecast_{begin:%Y_%m}"
        # Create the table first and attach it: CREATE ... PARTITION OF would lock out readers of the whole table.
        connection.exec_driver_sql(f"CREATE TABLE {name} (LIKE forecast INCLUDING ALL)")
        connection.exec_driver_sql(
            f"ALTER TABLE forecast ATTACH PARTITION {name} "
            f"FOR VALUES FROM ({instant_literal(begin)}) TO ({instant_literal(end)})"
        )


def drop_months(connection: sa.Connection, job: str, before: datetime) -> None:
    """Drop the partitions that end at or before a moment, except those that hold a night of another job.

    Raises:
        sqlalchemy.exc.OperationalError: where somebody reads from the table for too long.
    """
    old = [partition for partition in partitions(connection) if partition.end and partition.end <= before]
    if not old:
        return
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{_LOCK_SECONDS}s'")
    # Lock the whole table before its partitions, as readers do; another order could cause a deadlock. The lock also
    # ensures that nobody is publishing a night into one of these months.
    connection.exec_driver_sql("LOCK TABLE forecast IN ACCESS EXCLUSIVE MODE")
    for partition in old:
        others = sa.select(publication.c.job).where(publication.c.job != job, publication.c.cutoff < partition.end)
        if partition.begin is not None:
            others = others.where(publication.c.cutoff >= partition.begin)
        if connection.execute(others.limit(1)).first() is None:
            connection.exec_driver_sql(f"DROP TABLE {partition.name}")


def _has_partition(connection: sa.Connection, cutoff: datetime) -> bool:
    return any(partition.holds(cutoff) for partition in partitions(connection))
