"""Publish a night whole or not at all: into the forecast table and as Parquet, in one transaction."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
from fsspec.implementations.local import LocalFileSystem

from sql.engine.patience import patiently
from sql.output.publish import digest_of
from sql.output.quantile_columns import is_quantile_column
from tasks.night.ledger import Ledger
from tasks.night.night import Night
from tasks.publishing.folder_columns import FILE, align_columns, files_left_aside, remove_old_copies
from tasks.publishing.parquet_night import ParquetNight, night_folder
from tasks.publishing.shown_file import holds_rows, run_of_file
from tasks.step import logger, step
from tasks.store.night_file import night_parts, save_night
from tasks.store.ownership import state_of
from tasks.store.places import Places


@dataclass(frozen=True)
class Publication:
    """A published night.

    Attributes:
        rows: Number of rows in the table.
        parquet: Folder (path or URL) of the night's Parquet file.
        same_as: The run that had published the very same rows before, so that nothing was written; "" where none had.
    """

    rows: int
    parquet: str
    same_as: str = ""


@step("publish", retries=2, retry_delay_seconds=(2, 10))
def publish(night: Night, forecast_file: Path) -> Publication:
    """Write tonight's rows, a file of `save_night`, into the table and as Parquet; a failure leaves both as they were.

    Nothing is written where both hold the very same rows, apart from their run and its time. Afterwards all files of
    the folder have the same columns, see `align_columns`.
    """
    published = patiently(_publish_rows)(night, forecast_file)
    _align(night.places, night.cutoff)
    return published


def _publish_rows(night: Night, forecast_file: Path) -> Publication:
    places, cutoff, run_id = night.places, night.cutoff, night.run_id
    folder = night_folder(places, cutoff)
    before = night.ledger.publication_of(cutoff)
    if before is not None and _is_whole(night, before, forecast_file):
        _remove_copies(places, cutoff)
        # Where an earlier attempt of this run lost its connection at the end, the night is its own.
        return Publication(before["rows"], folder, "" if before["run_id"] == run_id else before["run_id"])
    night.ledger.begin_publishing(run_id)
    with (
        ParquetNight(places, forecast_file, cutoff, lambda: night.ledger.is_published_by(cutoff, run_id)) as file,
        closing(night_parts(forecast_file, places.job, cutoff)) as parts,
    ):
        night.ledger.publish_forecast(parts, before_commit=file.show)
    with pq.ParquetFile(forecast_file) as published:
        return Publication(published.metadata.num_rows, folder)


def _remove_copies(places: Places, cutoff: datetime) -> None:
    """Remove what an earlier attempt left, which could not ask whether its night was committed."""
    system, folder = fsspec.core.url_to_fs(night_folder(places, cutoff))
    if isinstance(system, LocalFileSystem):
        remove_old_copies(places.parquet, f"{folder}/{FILE}")


def _align(places: Places, cutoff: datetime) -> None:
    _, folder = fsspec.core.url_to_fs(night_folder(places, cutoff))
    try:
        align_columns(places.parquet, f"{folder}/{FILE}")
    except OSError as error:
        # The night is published, and each file is right by itself.
        logger().warning(
            "The files in %s may have different quantile columns, so readers may refuse the folder or miss columns: "
            "%s. The next night tries again.",
            places.parquet,
            error,
        )


def mend(places: Places, cutoff: datetime, unsettled: Collection[str] = ()) -> None:
    """Make the Parquet file of a night agree with the table, where a run ended between the two.

    Args:
        places: The job's places.
        cutoff: The night.
        unsettled: Runs whose file may hold rows that they never committed, even if an earlier attempt of theirs did.

    Raises:
        StorageError: the database does not answer.
        OSError: the folder cannot be written.
    """
    system, folder = fsspec.core.url_to_fs(night_folder(places, cutoff))
    target, ledger = f"{folder}/{FILE}", Ledger(places)
    if isinstance(system, LocalFileSystem) and system.exists(places.parquet):
        for left_over in files_left_aside(places.parquet, target):
            if state_of(left_over) != "held":
                left_over.unlink()
    published = ledger.publication_of(cutoff)
    if published is None:
        if system.exists(folder):
            system.rm(folder, recursive=True)
        return
    shown = run_of_file(places, cutoff)
    if shown == (published["run_id"], published["rows"]) and published["run_id"] not in unsettled:
        return
    with TemporaryDirectory() as aside:
        rows = _without_empty_quantiles(ledger.forecast_of(cutoff))
        with ParquetNight(places, save_night([rows], Path(aside) / FILE), cutoff) as file:
            file.show()
        _align(places, cutoff)


def _without_empty_quantiles(rows: pa.Table) -> pa.Table:
    """The rows without the quantile columns that only other nights have."""
    quantiles = (name for name in rows.column_names if is_quantile_column(name))
    return rows.drop_columns([name for name in quantiles if rows[name].null_count == len(rows)])


def _is_whole(night: Night, published: Mapping[str, Any], forecast_file: Path) -> bool:
    """Whether a published night has tonight's rows, and all of them are in the table and in its Parquet file."""
    cutoff, job = published["cutoff"], night.places.job
    if night.ledger.row_count(cutoff) != published["rows"]:
        return False
    with closing(night_parts(forecast_file, job, cutoff)) as parts:
        if digest_of(parts) != published["digest"]:
            return False
    return holds_rows(night.places, published, pq.read_schema(forecast_file))
