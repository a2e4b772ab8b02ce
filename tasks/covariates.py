"""The covariates of a source: which columns they are, and those that lie in a place of their own."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from models.settings import ForecastSettings
from sql.known_future import read_known_future
from sql.read import Source
from sql.source import COVARIATES
from tasks.rows_store import StoredRows, load_rows, save_rows


def save_known_future(
    source: Source, base: Path, forecast: ForecastSettings, rows_file: Path, until: datetime | None
) -> None:
    """Read what `source.known_future_from` names into files beside `rows_file`, from the oldest row there on.

    Raises:
        SourceError, StorageError: as `read_known_future`.
    """
    if not source.known_future_from:
        return
    oldest = min(pc.min(batch["timestamp"]).as_py() for batch in StoredRows(rows_file).batches(["timestamp"]))
    since = oldest if oldest.tzinfo else oldest.replace(tzinfo=forecast.zone)
    for number, other in enumerate(source.known_future_from):
        rows = read_known_future(source, other, base, since=since, until=until, time_zone=forecast.time_zone)
        save_rows(rows, _known_future_file(rows_file, number))


def covariates(source: Source, rows_file: Path) -> dict[str, Any]:
    """What `build_panel` wants to know of the covariates of the rows in a file of `read_series`."""
    files = [_known_future_file(rows_file, number) for number in range(len(source.known_future_from))]
    tables = [load_rows(file) for file in files]
    return {key: getattr(source, key) for key in COVARIATES} | {"known_elsewhere": tables}


def _known_future_file(rows_file: Path, number: int) -> Path:
    return rows_file.with_name(f"known-future-{number}.arrow")
