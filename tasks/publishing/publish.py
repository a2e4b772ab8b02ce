"""Publish a night whole or not at all: into the forecast table and as Parquet, in one transaction."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
from fsspec.implementations.local import LocalFileSystem

from sql.full_disk import told_of_full_disk
from sql.output.publish import digest_of
from sql.output.quantile_columns import is_quantile_column
from tasks.night.ledger import Ledger
from tasks.night.night import Night
from tasks.publishing.folder_columns import (
    FILE,
    align_columns,
    columns_of_folder,
    file_aside,
    files_left_aside,
    remove_old_copies,
    write_copy,
)
from tasks.step import logger, step
from tasks.store.night_file import night_parts, save_night
from tasks.store.places import Places, stamp


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
    published = _publish_rows(night, forecast_file)
    _align(night.places, night.cutoff)
    return published


def _publish_rows(night: Night, forecast_file: Path) -> Publication:
    places, cutoff = night.places, night.cutoff
    before = night.ledger.publication_of(cutoff)
    if before is not None and _is_whole(night, before):
        with closing(night_parts(forecast_file, places.job, cutoff)) as parts:
            if digest_of(parts) == before["digest"]:
                return Publication(before["rows"], night_folder(places, cutoff), before["run_id"])
    with (
        _ParquetNight(places, forecast_file, cutoff) as file,
        closing(night_parts(forecast_file, places.job, cutoff)) as parts,
    ):
        rows = night.ledger.publish_forecast(parts, before_commit=file.show)
    return Publication(rows, night_folder(places, cutoff))


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


def night_folder(places: Places, cutoff: datetime) -> str:
    """Folder (path or URL) of the Parquet file of one night."""
    return f"{places.parquet}/job={places.job}/cutoff={stamp(cutoff)}"


def mend(places: Places, cutoff: datetime) -> None:
    """Make the Parquet file of a night agree with the table, where a run was killed between the two.

    Raises:
        StorageError: the database does not answer.
        OSError: the folder cannot be written.
    """
    system, folder = fsspec.core.url_to_fs(night_folder(places, cutoff))
    if not system.exists(folder):
        return
    if isinstance(system, LocalFileSystem):
        for left_over in files_left_aside(places.parquet, f"{folder}/{FILE}"):
            left_over.unlink()
    target, ledger = f"{folder}/{FILE}", Ledger(places)
    shown = _run_of(system, target) if system.exists(target) else None
    published = ledger.publication_of(cutoff)
    if published is None:
        system.rm(folder, recursive=True)
    elif shown != published["run_id"]:
        with TemporaryDirectory() as aside:
            rows = _without_empty_quantiles(ledger.forecast_of(cutoff))
            with _ParquetNight(places, save_night([rows], Path(aside) / FILE), cutoff) as file:
                file.show()
            _align(places, cutoff)


def _without_empty_quantiles(rows: pa.Table) -> pa.Table:
    """The rows without the quantile columns that only other nights have."""
    quantiles = (name for name in rows.column_names if is_quantile_column(name))
    return rows.drop_columns([name for name in quantiles if rows[name].null_count == len(rows)])


def _is_whole(night: Night, published: Mapping[str, Any]) -> bool:
    """Whether all rows and the file of a published night are there, or somebody has removed some."""
    system, folder = fsspec.core.url_to_fs(night_folder(night.places, published["cutoff"]))
    rows = night.ledger.row_count(published["cutoff"])
    return rows == published["rows"] and bool(system.exists(f"{folder}/{FILE}"))


def _run_of(system: fsspec.AbstractFileSystem, file: str) -> str | None:
    """The run that wrote a Parquet file; None where the file is not whole."""
    try:
        with system.open(file) as stream:
            return str(pq.ParquetFile(stream).read_row_group(0, columns=["run_id"])["run_id"][0])
    except (pa.ArrowException, OSError):
        return None


class _ParquetNight:
    """One night's Parquet file: copied aside, shown by a rename, taken back where the transaction fails.

    A night is one file. A single rename (or a single put on an object store) shows it, so no reader sees half of it.
    """

    def __init__(self, places: Places, file: Path, cutoff: datetime) -> None:
        self._file, self._root = file, places.parquet
        self._system, folder = fsspec.core.url_to_fs(night_folder(places, cutoff))
        self._target = f"{folder}/{FILE}"
        self._undo: Callable[[], None] | None = None
        self._copies: list[Path] = []

    def __enter__(self) -> _ParquetNight:
        if isinstance(self._system, LocalFileSystem):
            try:
                with told_of_full_disk(self._root):
                    Path(self._target).parent.mkdir(parents=True, exist_ok=True)
                remove_old_copies(self._root, self._target)
                self._copies = [file_aside(self._root, self._target, use) for use in ("new", "old")]
                write_copy(self._file, columns_of_folder(self._root), self._copies[0])
            except BaseException:
                self.__exit__(None)
                raise
        return self

    def show(self) -> None:
        """Put the file in its place; called when all rows are written and only the commit is missing."""
        if self._copies:
            new, old = self._copies
            if Path(self._target).exists():
                os.link(self._target, old)
                self._undo = lambda: os.replace(old, self._target)
            else:
                self._undo = Path(self._target).unlink
            os.replace(new, self._target)
            return
        before = self._system.cat_file(self._target) if self._system.exists(self._target) else None
        self._undo = lambda: self._system.pipe_file(self._target, before) if before else self._system.rm(self._target)
        with TemporaryDirectory() as folder:
            copy = write_copy(self._file, columns_of_folder(self._root), Path(folder) / FILE)
            self._system.put_file(str(copy), self._target)

    def __exit__(self, failure: object, *_: object) -> None:
        if failure is not None and self._undo is not None:
            self._undo()
        if isinstance(self._system, LocalFileSystem):
            for copy in self._copies:
                copy.unlink(missing_ok=True)
            # A failed night must not leave empty folders.
            with suppress(OSError):
                Path(self._target).parent.rmdir()
                Path(self._target).parent.parent.rmdir()
