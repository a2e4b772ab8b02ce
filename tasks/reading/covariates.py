"""The covariates of a source: which columns they are, and those that lie in a place of their own."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pyarrow.compute as pc

from models.audit.covariates import Covariates
from models.settings.forecast import ForecastSettings
from sql.source.known_future import known_future_as_of, read_known_future
from sql.source.read import Source
from sql.source.settings import COVARIATES
from tasks.store.rows_file import StoredRows, load_rows, save_rows


def save_known_future(
    source: Source,
    base: Path,
    forecast: ForecastSettings,
    rows_file: Path,
    until: datetime | None,
    moment: datetime | None,
) -> None:
    """Read what `source.known_future_from` names into files beside `rows_file`, from the oldest row there on.

    `moment` is the one whose knowledge counts, see `moment_of_knowledge`; None for every revision.

    Raises:
        SourceError, StorageError: as `read_known_future`.
    """
    if not source.known_future_from:
        return
    oldest = min(pc.min(batch["timestamp"]).as_py() for batch in StoredRows(rows_file).batches(["timestamp"]))
    since = oldest if oldest.tzinfo else oldest.replace(tzinfo=forecast.zone)
    for number, other in enumerate(source.known_future_from):
        bounds = {"since": since, "until": until, "time_zone": forecast.time_zone, "known_at": moment}
        rows = read_known_future(source, other, base, **bounds)
        save_rows(rows, _known_future_file(rows_file, number))


def covariates(source: Source, rows_file: Path, moment: datetime | None = None) -> Covariates:
    """The covariates of the rows in a file of `read_series`, for `build_panel`.

    Where the files hold every revision, only those known at `moment` count.
    """
    files = [_known_future_file(rows_file, number) for number in range(len(source.known_future_from))]
    tables = [load_rows(file) for file in files]
    if moment is not None:
        tables = [known_future_as_of(table, moment) for table in tables]
    return Covariates(**{key: getattr(source, key) for key in COVARIATES}, known_future_tables=tables)


def _known_future_file(rows_file: Path, number: int) -> Path:
    return rows_file.with_name(f"known-future-{number}.arrow")
