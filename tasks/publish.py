"""Publish a night whole or not at all: into the forecast table and as Parquet, in one transaction."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import uuid4

import fsspec
from fsspec.implementations.local import LocalFileSystem

from sql.write import publish_forecast
from tasks.night_file import night_parts
from tasks.places import Places, stamp
from tasks.step import step

_FILE = "part-0.parquet"
_LEFT_OVER_SECONDS = 86_400


@dataclass(frozen=True)
class Published:
    """Number of rows in the table, and the folder (path or URL) of the night's Parquet file."""

    rows: int
    parquet: str


@step("publish", retries=2, retry_delay_seconds=(2, 10))
def publish(places: Places, forecast_file: Path, cutoff: datetime) -> Published:
    """Write tonight's rows, a file of `save_night`, to both places; what fails leaves both as they were."""
    with (
        _ParquetNight(places, forecast_file, cutoff) as night,
        closing(night_parts(forecast_file, places.job, cutoff)) as parts,
    ):
        count = publish_forecast(places.engine(), parts, before_commit=night.show)
    return Published(count, night_folder(places, cutoff))


def night_folder(places: Places, cutoff: datetime) -> str:
    """Folder (path or URL) of the Parquet file of one night."""
    return f"{places.parquet}/job={places.job}/cutoff={stamp(cutoff)}"


class _ParquetNight:
    """One night's Parquet file: copied aside, shown by a rename, taken back where the transaction fails.

    A night is one file, so that a single rename (or, on an object store, a single put) is all
    that a reader can ever see of it.
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
        """Put the file in its place; called when all rows are in the table and only the commit is missing."""
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
            # A night that failed leaves no empty folders behind.
            with suppress(OSError):
                Path(self._target).parent.rmdir()
                Path(self._target).parent.parent.rmdir()

    def _remove_left_over(self) -> None:
        """Remove what a run of this night left aside that was killed long ago."""
        for file in Path(self._target).parent.glob(f".{_FILE}.*"):
            with suppress(FileNotFoundError):
                if time.time() - file.stat().st_mtime > _LEFT_OVER_SECONDS:
                    file.unlink()

    def _aside(self, name: str) -> str:
        # A leading dot, and no ending that a reader of *.parquet would match. Process numbers would not do
        # as names: in containers that share a folder, every process may be number 1.
        return str(Path(self._target).with_name(f".{_FILE}.{name}-{self._name}"))
