"""Publish a night whole or not at all: into the forecast table and as Parquet, in one transaction."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
from fsspec.implementations.local import LocalFileSystem

from sql.output.publish import digest_of
from sql.output.quantile_columns import is_quantile_column
from tasks.night.ledger import Ledger
from tasks.night.night import Night
from tasks.step import step
from tasks.store.night_file import night_parts, save_night
from tasks.store.places import Places, stamp

_FILE = "part-0.parquet"
_LEFT_OVER_SECONDS = 86_400


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

    Nothing is written where both hold the very same rows, apart from their run and its time.
    """
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
        for left_over in Path(folder).glob(f".{_FILE}.*"):
            left_over.unlink()
    target, ledger = f"{folder}/{_FILE}", Ledger(places)
    shown = _run_of(system, target) if system.exists(target) else None
    published = ledger.publication_of(cutoff)
    if published is None:
        system.rm(folder, recursive=True)
    elif shown != published["run_id"]:
        with TemporaryDirectory() as aside:
            rows = _without_empty_quantiles(ledger.forecast_of(cutoff))
            with _ParquetNight(places, save_night([rows], Path(aside) / _FILE), cutoff) as file:
                file.show()


def _without_empty_quantiles(rows: pa.Table) -> pa.Table:
    """The rows without the quantile columns that only other nights have."""
    quantiles = (name for name in rows.column_names if is_quantile_column(name))
    return rows.drop_columns([name for name in quantiles if rows[name].null_count == len(rows)])


def _is_whole(night: Night, published: Mapping[str, Any]) -> bool:
    """Whether all rows and the file of a published night are there, or somebody has removed some."""
    system, folder = fsspec.core.url_to_fs(night_folder(night.places, published["cutoff"]))
    rows = night.ledger.row_count(published["cutoff"])
    return rows == published["rows"] and bool(system.exists(f"{folder}/{_FILE}"))


def _run_of(system: fsspec.AbstractFileSystem, file: str) -> str | None:
    """The run that wrote a Parquet file; None where the file is not whole."""
    try:
        with system.open(file) as stream:
            return str(pq.ParquetFile(stream).read_row_group(0, columns=["run_id"])["run_id"][0])
    except pa.ArrowException:
        return None


class _ParquetNight:
    """One night's Parquet file: copied aside, shown by a rename, taken back where the transaction fails.

    A night is one file. A single rename (or a single put on an object store) shows it, so no reader sees half of it.
    """

    def __init__(self, places: Places, file: Path, cutoff: datetime) -> None:
        self._file = file
        self._system, folder = fsspec.core.url_to_fs(night_folder(places, cutoff))
        self._target = f"{folder}/{_FILE}"
        self._undo: Callable[[], None] | None = None
        self._name = uuid4().hex

    def __enter__(self) -> _ParquetNight:
        if isinstance(self._system, LocalFileSystem):
            Path(self._target).parent.mkdir(parents=True, exist_ok=True)
            self._remove_left_over()
            shutil.copyfile(self._file, self._aside("new"))
        return self

    def show(self) -> None:
        """Put the file in its place; called when all rows are written and only the commit is missing."""
        if isinstance(self._system, LocalFileSystem):
            if Path(self._target).exists():
                os.link(self._target, self._aside("old"))
                self._undo = lambda: os.replace(self._aside("old"), self._target)
            else:
                self._undo = Path(self._target).unlink
            os.replace(self._aside("new"), self._target)
            return
        before = self._system.cat_file(self._target) if self._system.exists(self._target) else None
        self._undo = lambda: self._system.pipe_file(self._target, before) if before else self._system.rm(self._target)
        self._system.put_file(str(self._file), self._target)

    def __exit__(self, failure: object, *_: object) -> None:
        if failure is not None and self._undo is not None:
            self._undo()
        if isinstance(self._system, LocalFileSystem):
            for name in ("new", "old"):
                Path(self._aside(name)).unlink(missing_ok=True)
            # A failed night must not leave empty folders.
            with suppress(OSError):
                Path(self._target).parent.rmdir()
                Path(self._target).parent.parent.rmdir()

    def _remove_left_over(self) -> None:
        """Remove the files aside of runs of this night that were killed long ago."""
        for file in Path(self._target).parent.glob(f".{_FILE}.*"):
            with suppress(FileNotFoundError):
                if time.time() - file.stat().st_mtime > _LEFT_OVER_SECONDS:
                    file.unlink()

    def _aside(self, name: str) -> str:
        # A leading dot, and no ending that a reader of *.parquet would match. The name must not be the process number:
        # in containers that share a folder, every process may be number 1.
        return str(Path(self._target).with_name(f".{_FILE}.{name}-{self._name}"))
