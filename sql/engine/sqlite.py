"""How a SQLite file is opened for reading, also where nothing can be written beside it."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

from sql.errors import StorageError

# Bytes 18 and 19 of the header, see https://www.sqlite.org/fileformat2.html#file_format_version_numbers.
_VERSIONS = slice(18, 20)
_WITH_LOG = b"\x02\x02"


def read_only_uri(path: str) -> str:
    """The URI that opens a SQLite file for reading.

    To read a file with a write-ahead log, SQLite writes an index of the log beside it. Where it may not, as on a
    read-only mount, a file whose log is empty is opened as one that nobody changes.

    Raises:
        StorageError: where the log holds changes that cannot be read.
    """
    uri = f"file:{quote(path)}?mode=ro"
    # SQLite looks beside the file that a symbolic link names.
    file = Path(os.path.realpath(path))
    if not _has_log(file) or _may_write(file.parent) or _opens(uri):
        return uri
    log = file.with_name(f"{file.name}-wal")
    if log.exists() and log.stat().st_size:
        raise StorageError(
            f"The SQLite file {path} cannot be read: {log.name} beside it holds changes, and to read them SQLite must "
            f"write to {file.parent}, which this user may not. Let the program that writes the file close it, or run "
            f"`sqlite3 {file.name} 'PRAGMA journal_mode = DELETE'` as its owner."
        )
    return f"{uri}&immutable=1"


@contextmanager
def journal_mode_kept(path: str) -> Iterator[None]:
    """A block after which a SQLite file has a write-ahead log only if it had one before: who writes turns it on."""
    file = Path(os.path.realpath(path))
    had_log = not file.exists() or _has_log(file)
    try:
        yield
    finally:
        if not had_log and _has_log(file):
            # Another program that has the file open keeps the log.
            with suppress(sqlite3.Error), closing(sqlite3.connect(file)) as connection:
                connection.execute("PRAGMA journal_mode = DELETE")


def _has_log(file: Path) -> bool:
    try:
        with file.open("rb") as opened:
            return opened.read(100)[_VERSIONS] == _WITH_LOG
    except OSError:
        return False


def _may_write(folder: Path) -> bool:
    return os.access(folder, os.W_OK, effective_ids=os.access in os.supports_effective_ids)


def _opens(uri: str) -> bool:
    """Whether the file can be read as it is: another program that has it open may have written the index."""
    try:
        with closing(sqlite3.connect(uri, uri=True)) as connection:
            connection.execute("SELECT 1 FROM sqlite_master LIMIT 1")
    except sqlite3.OperationalError:
        return False
    return True
