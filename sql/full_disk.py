"""A disk that takes nothing more: how its errors are known, and what people are told instead of a number."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import gettempdir

_REASONS = {
    errno.ENOSPC: "",
    errno.EDQUOT: " (the quota of this user is used up)",
    errno.EFBIG: " (a file may not be longer)",
}
# A disk with more bytes free than this is not the one that is full.
_AMPLE = 1 << 20
_REMEDY = "Free some, or name another folder."


class FullDisk(OSError):
    """A disk takes nothing more, so that trying again does not help. The message names the folder."""


def is_full(error: BaseException | None) -> bool:
    """Whether an error says that a disk takes nothing more: it is full, over quota, or can only be read.

    >>> is_full(OSError(errno.ENOSPC, "No space left on device")), is_full(OSError(errno.EIO, "Input/output error"))
    (True, False)
    """
    if not isinstance(error, OSError):
        return False
    # NumPy counts what was not written, and drops the reason.
    return isinstance(error, FullDisk) or error.errno in {*_REASONS, errno.EROFS} or " requested and " in str(error)


def _full_place(folder: str | Path, error: OSError) -> str | Path:
    """The folder whose disk is full: a library that was called may have written somewhere else."""
    left = free_bytes(folder)
    if error.errno != errno.ENOSPC or left is None or left < _AMPLE:
        return folder
    for place in (error.filename, gettempdir()):
        free = free_bytes(place) if isinstance(place, str) else None
        if free is not None and free < _AMPLE:
            return str(place)
    return folder


def no_space(folder: str | Path, wanted: int | None = None, reason: str = "") -> str:
    """What people are told of a folder whose disk is full.

    Args:
        folder: A local folder, which may not exist yet, or a URL.
        wanted: The number of bytes that were to be written; None where nobody knows.
        reason: More about it, with a space before it.
    """
    facts = {"wanted": wanted, "free": free_bytes(folder)}
    known = "".join(f", {number:,} bytes are {name}" for name, number in facts.items() if number is not None)
    return f"no space left on {folder}{reason}{known}. {_REMEDY}"


def free_bytes(folder: str | Path) -> int | None:
    """How many bytes this user may still write to the disk of a local folder; None where nobody knows."""
    if "://" in str(folder):
        return None
    for place in (Path(folder), *Path(folder).parents):
        try:
            found = os.statvfs(place)
        except OSError:
            continue
        return found.f_bavail * found.f_frsize
    return None


@contextmanager
def told_of_full_disk(folder: str | Path, wanted: int | None = None) -> Iterator[None]:
    """Raise `FullDisk`, which names the folder, where the disk of a folder takes nothing more.

    Args:
        folder: Where the block writes: a local folder or a URL.
        wanted: The number of bytes that it writes; None where nobody knows.
    """
    try:
        yield
    except FullDisk:
        raise
    except OSError as error:
        if not is_full(error):
            raise
        if error.errno == errno.EROFS:
            raise FullDisk(f"{folder} can only be read. Mount its disk for writing, or name another folder.") from error
        reason = _REASONS.get(error.errno or errno.ENOSPC, "")
        raise FullDisk(no_space(_full_place(folder, error), wanted, reason)) from error
