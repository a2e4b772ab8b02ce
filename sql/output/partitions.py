"""The partitions of `forecast` on PostgreSQL: one per month of cutoffs, in UTC.

A night creates the partition of its month if there is none, and of the month after it. An old month is dropped as a
whole. Whoever administers the database may add partitions of other lengths, and a default partition.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

import sqlalchemy as sa

from sql.engine.connection import describe, storage_errors, transaction
from sql.engine.patience import patiently
from sql.engine.postgresql import set_lock_timeout
from sql.engine.statement import instant_literal
from sql.errors import NotPermitted
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


@patiently
def add_month(engine: sa.Engine, cutoff: datetime) -> None:
    """Create the partition for the month of a cutoff, if there is none. Readers and writers do not wait for it.

    With the newest month the one after it is made too, for nights of users who may not. The partitions stay even if the
    night fails. Two nights may call this at the same time.

    Raises:
        NotPermitted: where the month is lacking, and this user does not own the table; names the statement to run.
        StorageError: where the database refuses.
    """
    with storage_errors(engine.url, "read the partitions of"), engine.connect() as connection:
        lacking = _lacking_months(partitions(connection), cutoff)
        if not lacking:
            return
        if _owner_of_forecast(connection):
            if lacking[0] == cutoff:
                raise NotPermitted(_refusal(connection, cutoff))
            return
    with transaction(engine) as connection:
        for month in lacking:
            add_month_on(connection, month)


def _lacking_months(known: list[Partition], cutoff: datetime) -> list[datetime]:
    """The months that a night should make: its own, and the one ahead where its own is the newest."""
    holder = next((each for each in known if each.holds(cutoff)), None)
    ahead = month_of(cutoff)[1]
    lacking = [] if holder else [cutoff]
    # Whoever makes partitions of other lengths would find the month in their way.
    is_ours = holder is None or (holder.begin, holder.end) == month_of(cutoff)
    is_newest = all(each.begin is not None and each.begin < ahead for each in known)
    return [*lacking, ahead] if is_ours and is_newest and not _holds(known, ahead) else lacking


def add_month_on(connection: sa.Connection, month: datetime) -> None:
    """As `add_month` for one month, in the transaction of a connection.

    Raises:
        NotPermitted: as `add_month`.
        sqlalchemy.exc.SQLAlchemyError: where the database refuses.
    """
    if _holds(partitions(connection), month):
        return
    if _owner_of_forecast(connection):
        raise NotPermitted(_refusal(connection, month))
    connection.exec_driver_sql("LOCK TABLE ONLY forecast IN SHARE UPDATE EXCLUSIVE MODE")
    if _holds(partitions(connection), month):
        return
    name, bounds = _partition_of(connection, month)
    # Create the table first and attach it: CREATE ... PARTITION OF would lock out readers of the whole table.
    connection.exec_driver_sql(f"CREATE TABLE {name} (LIKE forecast INCLUDING ALL)")
    connection.exec_driver_sql(f"ALTER TABLE forecast ATTACH PARTITION {name} {bounds}")


def refuse_who_owns_nothing(connection: sa.Connection, columns: list[str]) -> None:
    """Raise NotPermitted where this user may not add columns to `forecast`, because it belongs to another one."""
    if others := _owner_of_forecast(connection):
        me, owner = others
        raise NotPermitted(
            f"The table forecast in {describe(connection.engine.url)} has no columns {', '.join(columns[:5])} for the "
            f"job's quantile levels, and {me!r} may not add them, because the table belongs to {owner!r}. Run one "
            f"night of the job as {owner!r}."
        )


def _owner_of_forecast(connection: sa.Connection) -> tuple[str, str] | None:
    """The name of this user, and of the owner of `forecast`; None where this user may act as the owner."""
    row = connection.execute(_NAMES).one()
    return None if row.is_owner else (row.me, row.owner)


def _partition_of(connection: sa.Connection, month: datetime) -> tuple[str, str]:
    """The name of the partition of a month, and its bounds, in SQL."""
    begin, end = month_of(month)
    schema = connection.exec_driver_sql(
        "SELECT CAST(CAST(relnamespace AS regnamespace) AS text) FROM pg_class WHERE oid = CAST('forecast' AS regclass)"
    ).scalar_one()
    name = f"{schema}.forecast_{begin:%Y_%m}"
    return name, f"FOR VALUES FROM ({instant_literal(begin)}) TO ({instant_literal(end)})"


def _refusal(connection: sa.Connection, month: datetime) -> str:
    name, bounds = _partition_of(connection, month)
    me, owner = _owner_of_forecast(connection) or ("", "")
    parent = f"{name.rpartition('.')[0]}.forecast"
    return (
        f"The table forecast in {describe(connection.engine.url)} has no partition for {month:%Y-%m}, and {me!r} may "
        f"not make one, because the table belongs to {owner!r}. As {owner!r}, run CREATE TABLE {name} PARTITION OF "
        f"{parent} {bounds}; or let {owner!r} run nights, which make each month ahead."
    )


_NAMES = sa.text(
    "SELECT pg_has_role(relowner, 'USAGE') AS is_owner, CAST(current_user AS text) AS me, "
    "CAST(pg_get_userbyid(relowner) AS text) AS owner FROM pg_class WHERE oid = CAST('forecast' AS regclass)"
)


def drop_months(connection: sa.Connection, job: str, before: datetime) -> None:
    """Drop the partitions that end at or before a moment, except those that hold a night of another job.

    Raises:
        sqlalchemy.exc.OperationalError: where somebody reads from the table for too long.
    """
    old = [partition for partition in partitions(connection) if partition.end and partition.end <= before]
    if not old:
        return
    connection.exec_driver_sql(set_lock_timeout(_LOCK_SECONDS))
    # Lock the whole table before its partitions, as readers do; another order could cause a deadlock. The lock also
    # ensures that nobody is publishing a night into one of these months.
    connection.exec_driver_sql("LOCK TABLE forecast IN ACCESS EXCLUSIVE MODE")
    for partition in old:
        others = sa.select(publication.c.job).where(publication.c.job != job, publication.c.cutoff < partition.end)
        if partition.begin is not None:
            others = others.where(publication.c.cutoff >= partition.begin)
        if connection.execute(others.limit(1)).first() is None:
            connection.exec_driver_sql(f"DROP TABLE {partition.name}")


def _holds(known: list[Partition], cutoff: datetime) -> bool:
    return any(partition.holds(cutoff) for partition in known)
