"""Files and folders that one run makes for itself, and the proof that this run is dead.

Their owner holds a lock on a file as long as its process lives; the operating system frees it, whatever ends the
process. Some file systems that machines share do not show a lock to the other machines, so a free lock proves something
on its own machine only. A kill may come before there is anything to hold: so the name itself says whose it is.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import socket
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from shutil import rmtree
from typing import BinaryIO, Literal
from uuid import uuid4

_OWNER = ".owner"
_DAY_SECONDS = 86_400.0
_FOREIGN_SECONDS = 7 * _DAY_SECONDS
_ATTEMPTS = 5
_LOOK_SECONDS = 0.01


def is_regular(file: str | Path) -> bool:
    """Whether a name is that of a regular file. Opening a named pipe would wait for ever.

    True where nobody can tell, or nothing is there: opening it says why.
    """
    try:
        return stat.S_ISREG(os.stat(file).st_mode)
    except OSError:
        return True


def hold(file: Path) -> BinaryIO | None:
    """Lock a file until what this gives is closed; None where another holds it, or it cannot be locked."""
    return _hold(file, attempts=1)


def _hold(file: Path, attempts: int) -> BinaryIO | None:
    if not is_regular(file):
        return None
    held = None
    try:
        held = file.open("rb")
        for attempt in range(attempts):
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if attempt == attempts - 1:
                    raise
                time.sleep(_LOOK_SECONDS)
            else:
                break
    except OSError:
        if held is not None:
            held.close()
        return None
    return held


def make_held(file: Path, text: str = "") -> BinaryIO | None:
    """Make a file, locked before anybody sees it under its name; gives what `hold` gives.

    A kill may leave it under the name that `is_half_made` knows.

    Raises:
        FileNotFoundError: its folder is gone.
    """
    while True:
        aside, held = file.with_name(f"{file.name}.{uuid4().hex}"), None
        try:
            aside.write_text(text, encoding="utf-8")
            # Another run looks at its lock, and so has it for a moment.
            held = _hold(aside, _ATTEMPTS)
            os.replace(aside, file)
        except FileNotFoundError:
            # Another run took it for a dead run's, in the moment before it was held.
            _close(held)
            if not file.parent.is_dir():
                raise
        except BaseException:
            _close(held)
            aside.unlink(missing_ok=True)
            raise
        else:
            return held


def is_half_made(file: Path) -> bool:
    """Whether `make_held` is making a file, or was killed meanwhile. Whoever makes it notices where it is removed."""
    return re.fullmatch(r".+\.[0-9a-f]{32}", file.name) is not None


def state_of(file: Path) -> Literal["held", "free", "unknown"]:
    """Whether a process holds a file; unknown where the file system has no locks, or this is no regular file.

    Raises:
        FileNotFoundError: the file is gone.
    """
    if not is_regular(file):
        return "unknown"
    with file.open("rb") as opened:
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return "held"
        except OSError:
            return "unknown"
    return "free"


def host() -> str:
    """The name of this machine, fit for a file's name."""
    return re.sub(r"\W", "_", socket.gethostname())


def remove_dead_copies(folder: Path) -> None:
    """Remove the copies of files that dead processes left in a folder, `.name.` and 32 hexadecimal digits.

    A process holds its copy while it writes. Where the file system has no locks, copies go after a day.
    """
    for copy in folder.glob(".*"):
        with suppress(OSError):
            if is_half_made(copy) and is_regular(copy):
                state = state_of(copy)
                if state == "free" or (state == "unknown" and time.time() - copy.stat().st_ctime > _DAY_SECONDS):
                    copy.unlink()


@contextmanager
def owned_folder(folder: Path, lock: str) -> Iterator[Path]:
    """A folder of this process alone, made now and removed at the end.

    Args:
        folder: The folder; its parents are made too.
        lock: What lets only one run at a time make such folders, see `remove_dead_folders`.
    """
    held = None
    try:
        held = _make_owned(folder, lock)
        yield folder
    finally:
        remove_folder(folder, lock)
        _close(held)


def remove_dead_folders(parent: Path, lock: str) -> None:
    """Remove the folders of `owned_folder` whose runs are dead; for the owner of the lock that is given.

    A folder whose file is held stays in any case. Any other goes where its run had this lock, or ran on this machine;
    or after a week. One that was just being made, see `aside_of`, goes where its run had this lock, or after a day.
    """
    with suppress(OSError):
        for folder in [*parent.iterdir()]:
            if _is_dead(folder, lock):
                remove_folder(folder, lock)
        parent.rmdir()


def remove_folder(folder: Path, lock: str) -> None:
    """Remove a folder under a name by which the next owner of the lock knows it.

    A kill or a second interrupt meanwhile may leave a part of it, which no longer says whose it was.
    """
    aside = folder if is_aside(folder, lock) else aside_of(folder, lock)
    with suppress(OSError):
        folder.rename(aside)
    for each in (aside, folder):
        rmtree(each, ignore_errors=True)


def aside_of(folder: Path, lock: str) -> Path:
    """A new name beside a folder, for making or removing it unseen.

    After a kill it tells the owner of the lock whose it was.
    """
    return folder.with_name(f".{folder.name}.{_mark(lock)}.{uuid4().hex[:8]}")


def is_aside(folder: Path, lock: str) -> bool:
    """Whether a run that had this lock was making or removing a folder.

    Whoever has the lock now knows that this run is dead.
    """
    return folder.name.startswith(".") and folder.name.split(".")[-2:-1] == [_mark(lock)]


def _mark(lock: str) -> str:
    return hashlib.sha256(lock.encode()).hexdigest()[:16]


def _make_owned(folder: Path, lock: str) -> BinaryIO | None:
    for attempt in range(_ATTEMPTS):
        aside, held = aside_of(folder, lock), None
        try:
            aside.mkdir(parents=True)
            held = make_held(aside / _OWNER, f"{host()}\n{lock}")
            aside.rename(folder)
        except FileNotFoundError:
            # Another run has just removed an empty parent.
            _close(held)
            if attempt == _ATTEMPTS - 1:
                raise
        except BaseException:
            _close(held)
            rmtree(aside, ignore_errors=True)
            raise
        else:
            return held
    raise AssertionError


def _is_dead(folder: Path, lock: str) -> bool:
    owner = folder / _OWNER
    with suppress(OSError):
        if not owner.is_file():
            # Its run made it just now, or was killed at that moment.
            return is_aside(folder, lock) or time.time() - folder.stat().st_ctime > _DAY_SECONDS
        state = state_of(owner)
        made_on, _, made_under = owner.read_text(encoding="utf-8").partition("\n")
        if state == "held":
            return False
        if made_under == lock or (state == "free" and made_on == host()):
            return True
        return time.time() - owner.stat().st_ctime > _FOREIGN_SECONDS
    return False


def _close(held: BinaryIO | None) -> None:
    if held is not None:
        held.close()
