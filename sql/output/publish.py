"""Publishes the forecasts of a night, all or none, and adds the columns of new quantile levels."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, suppress
from datetime import datetime
from typing import Any

import adbc_driver_manager.dbapi
import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from sql.engine.bulk import as_sqlite_text
from sql.engine.connection import adbc_connection, describe, storage_errors, transaction
from sql.engine.patience import patiently
from sql.engine.statement import literal, text_literal
from sql.errors import StorageError
from sql.output.digest import NightDigest
from sql.output.partitions import add_month, refuse_who_owns_nothing
from sql.output.quantile_columns import is_quantile_column
from sql.output.schema import LocalDateTime, UTCDateTime
from sql.output.tables import FORECAST_COLUMNS, forecast, publication, run
from sql.output.views import write_views

_BATCH_ROWS = 10_000
_UTC = pa.timestamp("us", "UTC")


def publish_forecast(
    engine: sa.Engine, rows: pa.Table | Iterable[pa.Table], before_commit: Callable[[], None] | None = None
) -> int:
    """Replace one night of one job, in one transaction.

    Over ADBC, rows are copied directly into the table (on PostgreSQL, into the partition of the cutoff's month).
    Nobody sees them before the commit, so a staging table would only write every row twice. The note of
    `begin_publishing` goes with the commit.

    Args:
        engine: The output database, migrated.
        rows: The columns of `FORECAST_COLUMNS`, with time zones in timestamps, and any number of quantile columns.
            All rows have the same job and cutoff. One table, or parts that are taken one after the other.
            Fastest if sorted by series and step.
        before_commit: Called when all rows are written and only the commit is left, to publish the same
            night elsewhere. If it raises, no row is published.

    Returns:
        The number of rows.

    Raises:
        ValueError: where columns are missing or unknown, or the rows belong to several nights.
        StorageError: where the database refuses; it is unchanged then.
    """
    parts = _Parts(rows)
    add_quantile_columns(engine, [name for name in parts.column_names if is_quantile_column(name)])
    if engine.dialect.name == "postgresql":
        add_month(engine, parts.facts["cutoff"])
    with storage_errors(engine.url, "publish to"):
        connection = adbc_connection(engine.url)
        if connection is not None:
            with closing(connection):
                _over_adbc(connection, engine.dialect, parts, before_commit)
            return int(parts.facts["rows"])
    with transaction(engine) as plain:
        for table in (forecast, publication):
            night = table.c.job == parts.facts["job"], table.c.cutoff == parts.facts["cutoff"]
            plain.execute(table.delete().where(*night))
        fixed = [sa.column(column.name, column.type) for column in forecast.c]
        quantiles = [sa.column(name, sa.Double[float]()) for name in parts.column_names if name not in forecast.c]
        insert = sa.insert(sa.table("forecast", *fixed, *quantiles))
        for part in parts:
            for batch in part.to_batches(max_chunksize=_BATCH_ROWS):
                plain.execute(insert, batch.to_pylist())
        plain.execute(publication.insert(), parts.facts)
        plain.execute(run.update().where(run.c.run_id == parts.facts["run_id"]).values(publishing=None))
        if before_commit is not None:
            before_commit()
    return int(parts.facts["rows"])


@patiently
def begin_publishing(engine: sa.Engine, run_id: str) -> None:
    """Note that a run is about to replace a night, here and elsewhere. A run without a row needs no note.

    Raises:
        StorageError: where the database refuses.
    """
    with transaction(engine) as connection:
        connection.execute(run.update().where(run.c.run_id == run_id).values(publishing=True))


@patiently
def is_published_by(engine: sa.Engine, job: str, cutoff: datetime, run_id: str) -> bool:
    """Whether a run has committed a night, and no other has replaced it since; waits for a commit on its way.

    Raises:
        StorageError: where the database does not answer.
    """
    night = publication.c.job == job, publication.c.cutoff == cutoff
    with transaction(engine) as connection:
        # The row of a run is locked while it publishes: a server may go on with a commit whose client is gone.
        noted = connection.scalar(sa.select(run.c.publishing).where(run.c.run_id == run_id).with_for_update())
        return not noted and connection.scalar(sa.select(publication.c.run_id).where(*night)) == run_id


@patiently
def unsettled_runs(engine: sa.Engine, job: str) -> list[dict[str, Any]]:
    """Run and cutoff of the runs of a job that began to publish and never committed; waits for commits on their way.

    Raises:
        StorageError: where the database does not answer.
    """
    unsettled = run.c.job == job, run.c.publishing == sa.true()
    with transaction(engine) as connection:
        found = connection.execute(sa.select(run.c.run_id, run.c.cutoff).where(*unsettled).with_for_update())
        return [dict(row) for row in found.mappings()]


@patiently
def settle_runs(engine: sa.Engine, run_ids: Sequence[str]) -> None:
    """Remove the notes of `begin_publishing` of these runs.

    Raises:
        StorageError: where the database refuses.
    """
    with transaction(engine) as connection:
        connection.execute(run.update().where(run.c.run_id.in_(run_ids)).values(publishing=None))


def digest_of(rows: pa.Table | Iterable[pa.Table]) -> str:
    """The digest of a night, as `publication` stores it; rows as in `publish_forecast`."""
    parts = _Parts(rows)
    for _ in parts:
        pass
    return str(parts.facts["digest"])


class _Parts:
    """The parts of a night, in the types of the table.

    Attributes:
        column_names: Columns of every part.
        facts: The row of `publication` for the parts so far.
    """

    def __init__(self, rows: pa.Table | Iterable[pa.Table]) -> None:
        self._rest = iter([rows] if isinstance(rows, pa.Table) else rows)
        first = next(self._rest, None)
        if first is None:
            raise ValueError("The night has no forecasts to publish: there are no rows. Forecast at least one series.")
        self._first = _night(first)
        self.column_names: list[str] = first.column_names
        self._digest = NightDigest()
        self.facts = _facts(self._first)

    def __iter__(self) -> Iterator[pa.Table]:
        self._digest.update(self._first)
        yield self._first
        for rows in self._rest:
            if rows.column_names != self.column_names:
                raise ValueError(
                    f"All parts of a night need the same columns: {rows.column_names} follow {self.column_names}."
                )
            part = _night(rows)
            self.facts = _merged(self.facts, _facts(part))
            self._digest.update(part)
            yield part
        self.facts["digest"] = self._digest.hexdigest()


def _night(rows: pa.Table) -> pa.Table:
    """The rows in the types of the table, with NaN as NULL."""
    missing = [name for name in FORECAST_COLUMNS if name not in rows.column_names]
    unknown = [name for name in rows.column_names if name not in FORECAST_COLUMNS and not is_quantile_column(name)]
    if missing or unknown:
        raise ValueError(f"The forecasts of a night lack the columns {missing} and have unknown columns {unknown}.")
    if not rows.num_rows:
        raise ValueError("The night has no forecasts to publish: there are no rows. Forecast at least one series.")
    for name in ("job", "cutoff", "run_id"):
        values = pc.unique(rows[name])
        if len(values) != 1 or values[0].as_py() is None:
            raise ValueError(f"A night has one {name}, but the rows have {len(values)}: {values[:5].to_pylist()}.")
    return pa.table({name: _column(name, rows[name]) for name in rows.column_names})


def _column(name: str, column: pa.ChunkedArray) -> pa.ChunkedArray:
    if name not in forecast.c or isinstance(forecast.c[name].type, sa.Double):
        values = column.cast(pa.float64())
        return pc.if_else(pc.is_nan(values), pa.scalar(None, pa.float64()), values)
    if isinstance(forecast.c[name].type, UTCDateTime):
        if not (pa.types.is_timestamp(column.type) and column.type.tz):
            raise ValueError(f"The column {name} is {column.type}, without a time zone. Give its timestamps one.")
        return column.cast(_UTC, safe=False)
    if isinstance(forecast.c[name].type, LocalDateTime):
        if not pa.types.is_timestamp(column.type) or column.type.tz:
            raise ValueError(f"The column {name} is {column.type}. Give the times of a clock, without a time zone.")
        return column.cast(pa.timestamp("us"), safe=False)
    return column.cast(pa.int32() if name == "step" else pa.string())


def _facts(night: pa.Table) -> dict[str, Any]:
    """The row of `publication`."""
    times = pc.min_max(night["timestamp"]).as_py()
    versions = pc.unique(night["model_version"].drop_null())
    return {
        "job": night["job"][0].as_py(),
        "cutoff": night["cutoff"][0].as_py(),
        "run_id": night["run_id"][0].as_py(),
        "rows": night.num_rows,
        "model_version": versions[0].as_py() if len(versions) else None,
        "first_timestamp": times["min"],
        "last_timestamp": times["max"],
        "published_at": pc.max(night["created_at"]).as_py(),
    }


def _merged(facts: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """The row of `publication` for two parts together."""
    for name in ("job", "cutoff", "run_id"):
        if facts[name] != more[name]:
            raise ValueError(f"A night has one {name}, but its parts have {facts[name]} and {more[name]}.")
    return facts | {
        "rows": facts["rows"] + more["rows"],
        "model_version": facts["model_version"] or more["model_version"],
        "first_timestamp": min(facts["first_timestamp"], more["first_timestamp"]),
        "last_timestamp": max(facts["last_timestamp"], more["last_timestamp"]),
        "published_at": max(facts["published_at"], more["published_at"]),
    }


def _over_adbc(
    connection: adbc_driver_manager.dbapi.Connection,
    dialect: sa.Dialect,
    parts: _Parts,
    before_commit: Callable[[], None] | None,
) -> None:
    night = " AND ".join(f"{name} = {literal(parts.facts[name], dialect)}" for name in ("job", "cutoff"))
    try:
        with connection.cursor() as cursor:
            if dialect.name == "postgresql":
                # Of two runs of the same night, the second waits and then replaces the rows of the first.
                cursor.execute(f"SELECT pg_advisory_xact_lock(hashtextextended({text_literal(night)}, 0))").fetchall()
            cursor.execute(f"DELETE FROM forecast WHERE {night}")
            cursor.execute(f"DELETE FROM publication WHERE {night}")
            for part in parts:
                cursor.adbc_ingest("forecast", _stored(part, dialect), mode="append")
            values = {name: literal(value, dialect) for name, value in parts.facts.items()}
            cursor.execute(f"INSERT INTO publication ({', '.join(values)}) VALUES ({', '.join(values.values())})")
            cursor.execute(f"UPDATE run SET publishing = NULL WHERE run_id = {values['run_id']}")
        if before_commit is not None:
            before_commit()
        connection.commit()
    except BaseException:
        # A database that had to end the transaction itself refuses to do it again, which must not hide why it did.
        with suppress(adbc_driver_manager.Error):
            connection.rollback()
        raise


def _stored(night: pa.Table, dialect: sa.Dialect) -> pa.Table:
    """The rows as the database stores them: SQLite stores times as text, like `UTCDateTime` and `LocalDateTime`."""
    return as_sqlite_text(night) if dialect.name == "sqlite" else night


@patiently
def add_quantile_columns(engine: sa.Engine, names: Sequence[str]) -> None:
    """Add the missing ones of these quantile columns to `forecast` and its views.

    Raises:
        StorageError: where the table does not exist, or this user may not alter it.
    """
    with storage_errors(engine.url, "read the columns of"), engine.connect() as connection:
        if not _missing_columns(connection, names):
            return
    with transaction(engine) as connection:
        add_columns_on(connection, names)


def add_columns_on(connection: sa.Connection, names: Sequence[str]) -> None:
    """As `add_quantile_columns`, in the transaction of a connection."""
    missing = _missing_columns(connection, names)
    if not missing:
        return
    if connection.dialect.name == "postgresql":
        refuse_who_owns_nothing(connection, missing)
        connection.execute(sa.text("LOCK TABLE forecast IN ACCESS EXCLUSIVE MODE"))
    for name in _missing_columns(connection, names):
        connection.exec_driver_sql(f"ALTER TABLE forecast ADD COLUMN {name} DOUBLE PRECISION")
    write_views(connection)


def _missing_columns(connection: sa.Connection, names: Sequence[str]) -> list[str]:
    if not sa.inspect(connection).has_table("forecast"):
        raise StorageError(
            f"There is no table 'forecast' in {describe(connection.engine.url)}. Migrate the database first."
        )
    present = {column["name"] for column in sa.inspect(connection).get_columns("forecast")}
    return [name for name in names if name not in present]
