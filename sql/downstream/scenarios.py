"""Reads a published night in one snapshot, and writes the scenarios that are forecast from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from sql.engine.connection import storage_errors, transaction
from sql.engine.patience import patiently
from sql.output.tables import calibration, forecast, model, publication, scenario

Row = dict[str, Any]

# More ids than these are chosen here, and not by the database: a statement has a limited number of parameters.
_MOST_IDS = 500
_COLUMNS = ("series_id", "step", "timestamp", "median", "model_version", "source", "reason")


@dataclass(frozen=True)
class PublishedNight:
    """A published night as one snapshot saw it.

    Attributes:
        publication: Its row of `publication`.
        rows: Its rows of `forecast`, of the series asked for, by series and step: id, step, timestamp, median, version,
            source and reason.
        models: The rows of `model` by version.
        applied_calibration: What its quantiles were changed by, as `.npz`; None where they were not.
    """

    publication: Row
    rows: list[Row]
    models: Mapping[str, Row]
    applied_calibration: bytes | None


@patiently
def published_night(
    engine: sa.Engine, job: str, cutoff: datetime, series_ids: Sequence[str] | None = None
) -> PublishedNight | None:
    """A published night in one snapshot, also while another run replaces it; None where it is not published.

    Args:
        engine: The output database, migrated.
        job: The job's name.
        cutoff: The night.
        series_ids: The series to read; None for all of them.

    Raises:
        StorageError: where the database does not answer.
    """
    rows = sa.select(*(forecast.c[name] for name in _COLUMNS)).where(forecast.c.job == job, forecast.c.cutoff == cutoff)
    if series_ids is not None and len(series_ids) <= _MOST_IDS:
        rows = rows.where(forecast.c.series_id.in_(series_ids))
    with storage_errors(engine.url, "read from"), engine.connect() as plain:
        # One snapshot for all statements; SQLite and MySQL give it to every transaction.
        level = {"isolation_level": "REPEATABLE READ"} if engine.dialect.name == "postgresql" else {}
        connection = plain.execution_options(**level)
        with connection.begin():
            night = [publication.c.job == job, publication.c.cutoff == cutoff]
            published = connection.execute(sa.select(publication).where(*night)).mappings().one_or_none()
            if published is None:
                return None
            found = [dict(row) for row in connection.execute(rows).mappings()]
            models = connection.execute(sa.select(model).where(model.c.job == job)).mappings()
            by_version = {row["version"]: dict(row) for row in models}
            of_night = calibration.c.job == job, calibration.c.cutoff == cutoff
            applied = connection.scalar(sa.select(calibration.c.applied_calibration).where(*of_night))
    wanted = None if series_ids is None else {*series_ids}
    kept = [row for row in found if wanted is None or row["series_id"] in wanted]
    kept.sort(key=lambda row: (row["series_id"], row["step"]))
    return PublishedNight(dict(published), kept, by_version, applied)


@patiently
def replace_scenario(engine: sa.Engine, rows: Sequence[Mapping[str, Any]]) -> int:
    """Write a scenario in one transaction, in the place of one with the same name. Nothing else is changed.

    Args:
        engine: The output database, migrated.
        rows: The columns of `scenario` and any quantile columns, the same in all rows; of one job and one scenario.

    Returns:
        The number of rows.

    Raises:
        StorageError: where the database refuses; nothing is written then.
    """
    first = rows[0]
    quantiles = [name for name in first if name not in scenario.c]
    with transaction(engine) as connection:
        known = {column["name"] for column in sa.inspect(connection).get_columns("scenario")}
        for name in quantiles:
            if name not in known:
                connection.exec_driver_sql(f"ALTER TABLE scenario ADD COLUMN {name} DOUBLE PRECISION")
        same = scenario.c.job == first["job"], scenario.c.scenario == first["scenario"]
        connection.execute(scenario.delete().where(*same))
        columns = [sa.column(column.name, column.type) for column in scenario.c]
        columns += [sa.column(name, sa.Double[float]()) for name in quantiles]
        connection.execute(sa.insert(sa.table("scenario", *columns)), [dict(row) for row in rows])
    return len(rows)
