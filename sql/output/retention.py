"""Deletes old nights with their scenarios, calibrations, actuals and anomalies. All else stays."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from sql.engine.connection import storage_errors, transaction
from sql.engine.patience import patiently
from sql.errors import StorageError
from sql.output.partitions import drop_months, month_of
from sql.output.tables import actual, anomaly, calibration, forecast, publication, scenario


@patiently
def forget_nights(engine: sa.Engine, job: str, before: datetime) -> int:
    """Delete the nights of a job before a moment, all of them or none, and the actuals that no night forecasts then.

    On PostgreSQL a night is deleted with its month (UTC), once the whole month is before the moment. The partition of
    the month is dropped; rows are deleted only where it holds nights of other jobs or other months.

    Args:
        engine: The output database, migrated.
        job: The job's name; nights of other jobs stay.
        before: Nights with this cutoff or a later one stay.

    Returns:
        The number of nights deleted.

    Raises:
        StorageError: where the database refuses, or somebody reads from the table for too long; nothing is deleted.
    """
    limit = month_of(before)[0] if engine.dialect.name == "postgresql" else before
    old = sa.select(sa.func.count()).where(publication.c.job == job, publication.c.cutoff < limit)
    with storage_errors(engine.url, "read from"), engine.connect() as connection:
        # Most nights have nothing to delete, and need no lock.
        if not connection.execute(old).scalar_one():
            return 0
    try:
        with transaction(engine) as connection:
            nights = int(connection.execute(old).scalar_one())
            if engine.dialect.name == "postgresql":
                drop_months(connection, job, limit)
            for table in (forecast, publication, calibration, scenario):
                connection.execute(table.delete().where(table.c.job == job, table.c.cutoff < limit))
            # The nights that stay forecast what comes after their cutoffs.
            oldest = sa.select(sa.func.min(publication.c.cutoff)).where(publication.c.job == job)
            kept = connection.execute(oldest).scalar_one_or_none() or limit
            for table in (actual, anomaly):
                connection.execute(table.delete().where(table.c.job == job, table.c.timestamp <= kept))
    except StorageError as error:
        if error.passes == "locked":
            # Old nights can wait until the next night, and whoever reads them now cannot.
            error.passes = ""
        raise
    return nights
