"""What all tables share: their types and the one `metadata` that lists them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql

from sql.engine.storable import LONGEST_ID

metadata = sa.MetaData()


class UTCDateTime(sa.TypeDecorator[datetime]):
    """An instant: timestamptz on PostgreSQL; on SQLite text in UTC, such as `2024-01-31 18:00:00.000000`.

    The text sorts as time does. Values need a time zone when written, and are in UTC when read.
    """

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"The timestamp {value} has no time zone. Give an instant, for example with tzinfo=UTC.")
        instant = value.astimezone(UTC)
        return instant if dialect.name == "postgresql" else instant.replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class LocalDateTime(sa.TypeDecorator[datetime]):
    """What a clock shows, without a zone; on SQLite text to the second, such as `2024-01-31 18:00:00`.

    The text sorts as the times do, and is what SQLite's own `datetime()` gives.
    """

    impl = sa.DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
        """The type of a database."""
        if dialect.name != "sqlite":
            return self.impl_instance
        # The package imports every driver of its dialect, so it is imported where it is used.
        from sqlalchemy.dialects.sqlite import DATETIME

        return DATETIME(truncate_microseconds=True)  # type: ignore[no-untyped-call]


Name = (
    sa.String(LONGEST_ID)
    .with_variant(sa.Text(), "sqlite", "postgresql")
    .with_variant(mysql.VARCHAR(LONGEST_ID, collation="utf8mb4_0900_bin"), "mysql")
    .with_variant(mysql.VARCHAR(LONGEST_ID, collation="utf8mb4_nopad_bin"), "mariadb")
)
"""Text that is part of a key. Databases other than SQLite and PostgreSQL need a length for it, and MySQL a collation
that tells case, accents and blanks at the end apart."""

JSON = sa.JSON(none_as_null=True)


def job_column() -> sa.Column[Any]:
    """`job`, the first column of a key."""
    return sa.Column("job", Name, primary_key=True, doc="Name of the job, from its job file.")


def cutoff_column() -> sa.Column[Any]:
    """`cutoff`, the key of a night."""
    return sa.Column(
        "cutoff", UTCDateTime, primary_key=True, doc="The night: the last timestamp that its forecast may see."
    )


def segment_column(doc: str = "Group of series, see [Segments](#segments).") -> sa.Column[Any]:
    """`segment`, a part of a key."""
    return sa.Column("segment", Name, primary_key=True, doc=doc)


def evaluated_on_column() -> sa.Column[Any]:
    """`evaluated_on`, the key of an evaluation."""
    return sa.Column(
        "evaluated_on", UTCDateTime, primary_key=True, doc="The evaluation: the cutoff of the night that made it."
    )
