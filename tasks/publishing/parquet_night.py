"""One night's Parquet file: copied aside, shown by a rename, and taken back where the table has no such night."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import BinaryIO

import fsspec
from fsspec.implementations.local import LocalFileSystem

from sql.errors import StorageError
from sql.full_disk import told_of_full_disk
from tasks.interrupts import InterruptsHeldBack
from tasks.publishing.folder_columns import FILE, columns_of_folder, file_aside, remove_old_copies, write_copy
from tasks.step import logger
from tasks.store.ownership import hold, make_held
from tasks.store.places import Places, stamp

_SECONDS_BEFORE_ASKING_AGAIN = (1.0, 4.0)


def night_folder(places: Places, cutoff: datetime) -> str:
    """Folder (path or URL) of the Parquet file of one night."""
    return f"{places.parquet}/job={places.job}/cutoff={stamp(cutoff)}"


class ParquetNight:
    """One night's Parquet file, shown within the transaction of its rows.

    A night is one file. A single rename (or a single put on an object store) shows it, so no reader sees half of it.
    Whatever ends the block early, the table decides: the file stays where the night is committed, and the one of before
    comes back where it is not. If the database does not answer, both copies stay, and the next run of the job decides.
    So it does where a kill or a second interrupt leaves no time; the first interrupt waits from `show` to the end.

    Args:
        places: The job's places.
        file: The night, a file of `save_night`.
        cutoff: The night's cutoff.
        is_committed: Asks the database whether the table holds this night. None where it does anyway: then the file of
            before never comes back, and a failure stays one.
    """

    def __init__(
        self, places: Places, file: Path, cutoff: datetime, is_committed: Callable[[], bool] | None = None
    ) -> None:
        self._file, self._root, self._cutoff = file, places.parquet, cutoff
        self._is_committed = is_committed
        self._system, folder = fsspec.core.url_to_fs(night_folder(places, cutoff))
        self._is_local = isinstance(self._system, LocalFileSystem)
        self._target = f"{folder}/{FILE}"
        # On a local disk: the file to be shown, and the one that was shown before.
        self._new: Path | None = None
        self._old: Path | None = None
        # On an object store: what was shown before.
        self._before: bytes | None = None
        self._holds: list[BinaryIO | None] = []
        self._interrupts = InterruptsHeldBack()
        self._shows = False
        self._leaves_copies = False

    def __enter__(self) -> ParquetNight:
        if self._is_local:
            try:
                with told_of_full_disk(self._root):
                    Path(self._target).parent.mkdir(parents=True, exist_ok=True)
                _refuse_folder(Path(self._target))
                remove_old_copies(self._root, self._target)
                self._new, self._old = (file_aside(self._root, self._target, use) for use in ("new", "old"))
                self._holds.append(make_held(self._new))
                write_copy(self._file, columns_of_folder(self._root), self._new)
                _flush(self._new)
            except BaseException:
                self._remove_copies()
                self._let_go()
                raise
        return self

    def show(self) -> None:
        """Put the file in its place; called when all rows are written and only the commit is missing."""
        self._interrupts.begin()
        if self._new is not None and self._old is not None:
            self._shows = True
            # A pipe or a device is no night: it is replaced, and never opened.
            if Path(self._target).is_file():
                self._holds.append(hold(Path(self._target)))
                os.link(self._target, self._old)
            os.replace(self._new, self._target)
            # What is committed must outlast a power failure in both places.
            _flush(Path(self._target).parent)
            return
        with TemporaryDirectory() as folder:
            copy = write_copy(self._file, columns_of_folder(self._root), Path(folder) / FILE)
            self._before = self._system.cat_file(self._target) if self._system.exists(self._target) else None
            self._shows = True
            self._system.put_file(str(copy), self._target)

    def __exit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        """Settle what was shown; a failure of the connection after the commit is none, so that it ends here."""
        try:
            if failure is None or self._is_committed is None or not self._is_shown():
                return False
            if self._interrupts.is_broken:
                # Somebody wants an end at once; and the connection may still be open, so that asking would wait for it.
                self._leaves_copies = True
                return False
            if not self._ask(self._is_committed, failure):
                self._take_back()
                return False
            logger().warning("The night is published, although its connection failed at the end: %s", failure)
            return isinstance(failure, Exception)
        finally:
            try:
                self._remove_copies()
            finally:
                self._let_go()
                self._interrupts.end()

    def _is_shown(self) -> bool:
        # A second interrupt may come between any two lines, so the disk is asked: the rename takes the copy away.
        return self._shows and (self._new is None or not self._new.exists())

    def _ask(self, asked: Callable[[], bool], failure: BaseException) -> bool:
        """Whether the night is committed; the failure where the database does not answer."""
        # Until there is an answer. Another interrupt may end the asking.
        self._leaves_copies = True
        for seconds in (*_SECONDS_BEFORE_ASKING_AGAIN, None):
            try:
                is_committed = asked()
            except StorageError as error:
                if seconds is not None:
                    time.sleep(seconds)
                    continue
                logger().warning(
                    "Nobody knows yet whether the night of %s is published, because the database does not answer: %s "
                    "This run asks again where it tries again, or else the next run of the job, and makes the Parquet "
                    "file agree with the table.",
                    f"{self._cutoff:%Y-%m-%d %H:%M}",
                    error,
                )
                raise failure from None
            break
        self._leaves_copies = False
        return is_committed

    def _take_back(self) -> None:
        if not self._is_local:
            if self._before is not None:
                self._system.pipe_file(self._target, self._before)
            elif self._system.exists(self._target):
                self._system.rm(self._target)
        elif self._old is not None and self._old.exists():
            os.replace(self._old, self._target)
        else:
            Path(self._target).unlink(missing_ok=True)

    def _remove_copies(self) -> None:
        if not self._is_local or self._leaves_copies:
            return
        for copy in (self._new, self._old):
            if copy is not None:
                copy.unlink(missing_ok=True)
        # A failed night must not leave empty folders.
        with suppress(OSError):
            Path(self._target).parent.rmdir()
            Path(self._target).parent.parent.rmdir()

    def _let_go(self) -> None:
        while self._holds:
            if (held := self._holds.pop()) is not None:
                held.close()


def _refuse_folder(target: Path) -> None:
    if target.is_dir() and not target.is_symlink():
        raise OSError(f"{target} is a folder, but the night's Parquet file belongs there. Move the folder away.")


def _flush(path: Path) -> None:
    """Wait until the disk holds a file, or the names in a folder."""
    number = os.open(path, os.O_RDONLY)
    try:
        # Some network file systems do not know this of folders.
        with suppress(OSError):
            os.fsync(number)
    finally:
        os.close(number)
