"""The covariates of a source: their columns, and the known-future values that are in other tables."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pyarrow.compute as pc

from models.audit.covariates import Covariates
from sql.source.known_future import known_future_as_of, read_known_future
from sql.source.read import Source
from sql.source.settings import COVARIATES
from tasks.night.job import Job
from tasks.store.rows_file import StoredRows, load_rows, save_rows


def save_known_future(job: Job, base: Path, rows_file: Path, until: datetime | None, known_at: datetime | None) -> None:
    """Read what `source.known_future_from` names into files beside `rows_file`, from its oldest row on.

    Args:
        job: Its source.
        base: The folder of the job file.
        rows_file: From `read_series`.
        until: The last timestamp to see; None for the newest.
        known_at: The moment until which rows must have been recorded, see `moment_of_knowledge`; None for every
            vintage.

    Raises:
        SourceError, StorageError: as `read_known_future`.
    """
    source, forecast = job.source, job.forecast
    if not source.known_future_from:
        return
    found = (pc.min(batch["timestamp"]).as_py() for batch in StoredRows(rows_file).batches(["timestamp"]))
    oldest = min((moment for moment in found if moment is not None), default=None)
    since = oldest if oldest is None or oldest.tzinfo else oldest.replace(tzinfo=forecast.zone)
    for number, other in enumerate(source.known_future_from):
        rows = read_known_future(source, other, base, since, until, forecast.time_zone, known_at)
        save_rows(rows, _known_future_file(rows_file, number))


def covariates(source: Source, rows_file: Path, known_at: datetime | None = None) -> Covariates:
    """The covariates of the rows in a file of `read_series`, for `build_panel`.

    Where the files hold every vintage, only those that were recorded by `known_at` count.
    """
    files = [_known_future_file(rows_file, number) for number in range(len(source.known_future_from))]
    tables = [load_rows(file) for file in files]
    if known_at is not None:
        tables = [known_future_as_of(table, known_at) for table in tables]
    return Covariates(**{key: getattr(source, key) for key in COVARIATES}, known_future_tables=tables)


def _known_future_file(rows_file: Path, number: int) -> Path:
    return rows_file.with_name(f"known-future-{number}.arrow")
