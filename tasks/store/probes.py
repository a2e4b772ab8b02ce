"""Try whether a night can write where its job says, and leave nothing behind."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from datetime import datetime
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from uuid import uuid4

import fsspec

from sql.engine.connection import ping
from sql.engine.lock import job_lock
from sql.engine.sqlite import journal_mode_kept
from sql.engine.url import resolve_url
from sql.errors import SourceError, StorageError
from sql.full_disk import FullDisk, told_of_full_disk
from sql.migrations.migrate import check_output
from sql.migrations.rehearse import Attempt, rehearse
from tasks.interrupts import InterruptsHeldBack
from tasks.step import step
from tasks.store.places import PlaceError, Places

_PROBE = ".nightcast-"
_PROBE_BYTES, _ATTEMPTS = 4096, 2
# Why a night must not write there, though fsspec opens it.
REFUSED = {
    "memory": "all of it is lost when the process ends",
    "http": "it can only be read",
    "https": "it can only be read",
    "ftp": "a reader would find files that are half written",
    "data": "it can only be read",
    "github": "it can only be read",
}
_REMEDY = "write a folder, or an s3://, gs:// or az:// URL"


def probe_places(places: Places, quantile_columns: Sequence[str], now: datetime) -> list[Attempt]:
    """Try what a night does to its folders and tables. Nothing of it stays."""
    probes = []
    uses = {"Parquet files": places.parquet, "versions": places.versions, "reports": str(places.report)}
    for use, place in uses.items():
        what = f"write, rename and delete a file in {place} ({use})"
        probes.append(Attempt(what, _problem_of_place(place)))
    if not probes[-1].problem:
        scratch = places.scratch_folder("check").parent
        probes.append(
            Attempt(f"write, rename and delete a file in {scratch} (scratch)", _problem_of_place(str(scratch)))
        )
    return probes + _probe_database(places, quantile_columns, now)


def database_kept(places: Places) -> AbstractContextManager[None]:
    """A block that may open the output database as a writer does, and leaves a SQLite file in its journal mode."""
    try:
        url = resolve_url(places.output.url, places.base)
    except SourceError:
        # What is wrong with the URL is found where it is used.
        return nullcontext()
    return journal_mode_kept(str(url.database)) if url.get_backend_name() == "sqlite" else nullcontext()


def _probe_database(places: Places, quantile_columns: Sequence[str], now: datetime) -> list[Attempt]:
    try:
        url = resolve_url(places.output.url, places.base)
        if url.get_backend_name() == "sqlite":
            file = Path(str(url.database))
            probe = Attempt(f"write to the folder of {file}", _problem_of_place(str(file.parent)))
            if probe.problem or not places.has_database():
                note = "" if probe.problem else "the database is not there yet; the first night makes it and its tables"
                return [probe._replace(note=note)]
        ping(places.engine())
        check_output(places.engine())
        attempts = rehearse(places.engine(), quantile_columns, now)
        # A night that begins now must not find the lock taken, so it is only looked at.
        holder = job_lock(places.engine(), places.job, places.report.parent).holder()
    except (SourceError, StorageError, OSError) as error:
        return [Attempt(f"reach and write {places.output.url.partition(':')[0]} of output.url", str(error))]
    note = f"held now by {holder}: a night is running" if holder else ""
    return [*attempts, Attempt("see who holds the lock of the job", note=note)]


def _problem_of_place(place: str) -> str:
    try:
        probe_place(place)
    except (PlaceError, OSError) as error:
        return str(error)
    return ""


def probe_place(place: str) -> None:
    """Write, rename and delete a file in a folder, or in the nearest folder above that is there.

    Args:
        place: A path or an fsspec URL.

    Raises:
        PlaceError: a URL that nothing installed can open, or where a night must not write.
        FullDisk: the disk takes nothing more.
        OSError: the folder is a file, or cannot be written; names it.
    """
    if _is_remote(place):
        _probe_remote(place)
        return
    folder = Path(str(fsspec.core.url_to_fs(place)[1]))
    try:
        # A folder that may not be entered does not tell what it holds.
        nearest = next(parent for parent in (folder, *folder.parents) if parent.exists())
        if nearest.is_dir():
            with told_of_full_disk(folder, _PROBE_BYTES):
                _probe_local(nearest)
    except FullDisk:
        raise
    except OSError as error:
        reason = error.strerror or error
        raise PermissionError(
            f"{folder} cannot be written: {reason}. Make it writable, or name another in `output`."
        ) from error
    if not nearest.is_dir():
        raise NotADirectoryError(f"{nearest} is a file, and {folder} should be a folder. Name another in `output`.")


def _is_remote(place: str) -> bool:
    return "://" in place and not place.startswith(("file://", "local://"))


def _probe_local(folder: Path) -> None:
    _remove_dead_probes(folder)
    # Ctrl-C waits for the moment that this takes, so that nothing stays.
    interrupts = InterruptsHeldBack()
    interrupts.begin()
    try:
        for _ in range(_ATTEMPTS):
            # Before it is held, another process may take the probe for one that was left.
            with suppress(FileNotFoundError):
                return _write_probe(folder)
        return _write_probe(folder)
    finally:
        interrupts.end()


def _write_probe(folder: Path) -> None:
    # Permissions do not show whether a disk is full or mounted for reading only: try.
    aside = Path(mkdtemp(prefix=_PROBE, dir=folder))
    held = None
    try:
        held = _hold_folder(aside)
        file = aside / "new"
        with file.open("wb") as stream:
            stream.write(bytes(_PROBE_BYTES))
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(file, aside / "night")
    finally:
        rmtree(aside, ignore_errors=True)
        if held is not None:
            os.close(held)


def _remove_dead_probes(folder: Path) -> None:
    """Remove what a process left that was killed while it tried."""
    for left_over in folder.glob(f"{_PROBE}????????"):
        with suppress(OSError):
            held = _hold_folder(left_over)
            if held is not None:
                rmtree(left_over, ignore_errors=True)
                os.close(held)


def _hold_folder(folder: Path) -> int | None:
    """Lock a folder until what this gives is closed; None where another process holds it, or nobody can."""
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(opened)
        return None
    return opened


def _probe_remote(place: str) -> None:
    _check_protocol(place)
    try:
        system, root = fsspec.core.url_to_fs(place)
        file = f"{root}/.nightcast-{uuid4().hex}"
        try:
            system.pipe_file(file, bytes(_PROBE_BYTES))
            if system.cat_file(file) != bytes(_PROBE_BYTES):
                raise OSError("it does not give back what was written")
        finally:
            with suppress(FileNotFoundError):
                system.rm_file(file)
    except PlaceError:
        raise
    except Exception as error:
        # Each file system has its own classes for a lack of rights, and for a network that is away.
        reason = str(error) or type(error).__name__
        raise PermissionError(
            f"{place} cannot be written: {reason}. Grant the right, or name another in `output`."
        ) from error


def _check_protocol(place: str) -> None:
    protocol = place.partition("://")[0]
    if "::" in protocol:
        raise PlaceError(f"Cannot write to {place} of `output`, a chain of file systems: {_REMEDY}.")
    if reason := REFUSED.get(protocol):
        raise PlaceError(f"Cannot keep {place} of `output`, because {reason}: {_REMEDY}.")
    try:
        fsspec.get_filesystem_class(protocol)
    except ImportError as error:
        raise PlaceError(f"Cannot open {place} of `output`: {error}. Install that package, or name a folder.") from None
    except ValueError:
        raise PlaceError(f"Cannot open {place} of `output`: {_REMEDY}.") from None


@step("check the places", retries=1, retry_delay_seconds=(4,))
def check_places(places: Places) -> None:
    """Find places that cannot be written, before hours of work are spent; leaves nothing behind.

    Raises:
        PlaceError: a folder is a URL that nothing installed can open, or where a night must not write.
        Unreachable: the database does not answer.
        NotPermitted: its user may not create, alter or write the tables; names the right.
        StorageError: another application or a newer release has tables there.
        FullDisk: a disk takes nothing more; the one of the versions may be full.
        OSError: a folder is a file, or must not be written; names it.
    """
    for place in filter(_is_remote, (places.parquet, places.versions)):
        _check_protocol(place)
    if places.has_database():
        ping(places.engine())
        check_output(places.engine())
    url = resolve_url(places.output.url, places.base)
    database = [str(Path(str(url.database)).parent)] if url.get_backend_name() == "sqlite" else []
    for place in (places.parquet, str(places.report), *database):
        if not _is_remote(place):
            probe_place(place)
    # A night that can store no version goes on with the one it has.
    with suppress(FullDisk):
        require_space_for_version(places)


def require_space_for_version(places: Places) -> None:
    """Check that a new version could be stored, where that is known before it is trained.

    Raises:
        FullDisk: the disk takes nothing more.
        OSError: the folder is a file, or cannot be written; names it.
    """
    if not _is_remote(places.versions):
        probe_place(places.versions)
