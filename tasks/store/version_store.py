"""Model versions as immutable folders, local or on any fsspec file system.

`<versions>/<job>/<version>/` holds a model's own files, and `manifest.json` with the size and the SHA-256 digest of
each. The manifest is written last: a folder without it is not a version. Its own digest stands in the table `model`.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import fsspec
from fsspec.implementations.local import LocalFileSystem

from models.array_files import load_array
from models.arrays import StringArray
from models.errors import DamagedVersion, ModelError
from sql.full_disk import told_of_full_disk
from tasks.store.ownership import aside_of, remove_folder

MANIFEST = "manifest.json"
# The series that a version has learnt from, or that were outside of its sample.
SERIES_FILE = "series_ids.npy"
# A machine that trains may have only one of Keras's backends.
_LIBRARIES = ("keras", "tensorflow", "jax", "numpy")
_LONGEST_MANIFEST = 1 << 20


@dataclass(frozen=True)
class StoredVersion:
    """A model version in the store: its name, its folder, and the digest of its manifest."""

    version: str
    uri: str
    digest: str


class Entry(NamedTuple):
    """What the manifest says of a file."""

    bytes: int
    sha256: str


def store_version(folder: Path, versions: str, job: str, cutoff: datetime, lock: str) -> StoredVersion:
    """Publish a saved model under a name made of its cutoff and its digest; never overwrites.

    Args:
        folder: Local folder that holds the saved model, without a manifest.
        versions: Folder of all versions, a path or an fsspec URL.
        job: The job's name.
        cutoff: Last timestamp that the model has seen.
        lock: What lets only one run at a time store a version; its next owner removes what a killed run leaves here.

    Raises:
        OSError: the store cannot be written; nothing is left of the version.
        FullDisk: its disk takes nothing more.
    """
    files = {str(file.relative_to(folder)): _entry(file) for file in sorted(folder.rglob("*")) if file.is_file()}
    manifest = json.dumps(
        {"files": {name: entry._asdict() for name, entry in files.items()}, "libraries": _installed(_LIBRARIES)}
    ).encode()
    digest = hashlib.sha256(manifest).hexdigest()
    version = f"{cutoff.astimezone(UTC):%Y%m%dT%H%M%SZ}-{digest[:8]}"
    system, root = fsspec.core.url_to_fs(versions)
    target = f"{root}/{job}/{version}"
    stored = StoredVersion(version, system.unstrip_protocol(target), digest)
    if not _is_whole(stored):
        if isinstance(system, LocalFileSystem):
            _publish_local(folder, Path(target), manifest, stored, lock)
        else:
            _upload(folder, system, target, {**dict.fromkeys(files), MANIFEST: manifest})
    return stored


def locate_version(stored: StoredVersion, versions: str, job: str) -> StoredVersion:
    """The version with its present folder: where it was stored, or where the job's versions have been moved to.

    A folder whose manifest is not the stored one, or that cannot be opened, is taken only where there is no other.
    """
    found = None
    for uri in (stored.uri, f"{versions}/{job}/{stored.version}"):
        try:
            system, root = fsspec.core.url_to_fs(uri)
            manifest = _manifest_at(system, root)
        except Exception:
            # File systems raise what they like: for an unknown protocol, a package that is missing, a lack of rights.
            continue
        there = replace(stored, uri=system.unstrip_protocol(root))
        if hashlib.sha256(manifest).hexdigest() == stored.digest:
            return there
        found = found or there
    return found or stored


def fetch_version(stored: StoredVersion, scratch: Path) -> Path:
    """The local folder of a version, every file checked against its digest.

    Args:
        stored: The version.
        scratch: Where files are copied to when the store is not a local folder.

    Raises:
        DamagedVersion: a file is missing, cannot be read, or is not the one that was stored; names it.
        OSError: the store, or the network before it, does not answer.
    """
    try:
        system, root = fsspec.core.url_to_fs(stored.uri)
    except (ValueError, ImportError, OSError) as error:
        raise _damaged(str(stored.uri), stored, f"cannot be opened ({error})") from error
    files = _read_manifest(system, root, stored)
    is_local = isinstance(system, LocalFileSystem)
    folder = Path(root) if is_local else scratch / stored.version
    for name, entry in files.items():
        wrong = _wrong_with(folder / name, entry)
        if wrong and not is_local:
            wrong = _download(system, f"{root}/{name}", folder / name, entry)
        if wrong:
            raise _damaged(f"{root}/{name}", stored, wrong)
    return folder


def known_series(folder: Path) -> StringArray:
    """The ids of the series that a version has learnt from, or that were outside of its sample.

    Raises:
        DamagedVersion: the file cannot be read, or holds something else.
    """
    try:
        return load_array(folder / SERIES_FILE).astype(str)
    except (OSError, ValueError) as error:
        raise DamagedVersion(f"The model version in {folder} cannot be read: {error}. {_REMEDY}", str(error)) from error


_REMEDY = (
    "Restore it from a backup, promote another version (nightcast models), or run once with training scratch "
    "(--train scratch)."
)


def _manifest_at(system: fsspec.AbstractFileSystem, root: str) -> bytes:
    """The bytes of a manifest; so few that they are none where the file is too long for one.

    Raises:
        OSError: it is missing, or cannot be read.
    """
    with _as_os_error(root):
        # A device has no end, and a pipe no beginning.
        if isinstance(system, LocalFileSystem) and not Path(root, MANIFEST).is_file():
            raise FileNotFoundError(f"{root}/{MANIFEST}")
        size = system.info(f"{root}/{MANIFEST}")["size"]
        return b"" if (size or 0) > _LONGEST_MANIFEST else bytes(system.cat_file(f"{root}/{MANIFEST}"))


def _read_manifest(system: fsspec.AbstractFileSystem, root: str, stored: StoredVersion) -> dict[str, Entry]:
    file = f"{root}/{MANIFEST}"
    try:
        content = _manifest_at(system, root)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        raise _damaged(file, stored, "is missing") from None
    except OSError as error:
        if not isinstance(system, LocalFileSystem) and not isinstance(error, PermissionError):
            raise
        raise _damaged(file, stored, _unreadable(error)) from error
    if hashlib.sha256(content).hexdigest() != stored.digest:
        raise _damaged(file, stored, "is damaged")
    try:
        files = {str(name): Entry(**entry) for name, entry in json.loads(content)["files"].items()}
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise _damaged(file, stored, "is no manifest of this release") from None
    if any(Path(name).is_absolute() or ".." in Path(name).parts for name in files):
        raise _damaged(file, stored, "names files outside of its folder")
    return files


def _download(system: fsspec.AbstractFileSystem, place: str, file: Path, entry: Entry) -> str:
    """Copy a file of a version to a local folder; gives what is wrong with it, "" for nothing.

    Raises:
        OSError: the store does not answer, or the folder cannot be written.
    """
    try:
        with _as_os_error(place):
            size = system.info(place)["size"]
    except FileNotFoundError:
        return "is missing"
    except PermissionError as error:
        return _unreadable(error)
    if size is not None and size != entry.bytes:
        return "is damaged"
    file.parent.mkdir(parents=True, exist_ok=True)
    with _as_os_error(place):
        system.get_file(place, str(file))
    return _wrong_with(file, entry)


def _wrong_with(file: Path, entry: Entry) -> str:
    """What is wrong with a local file of a version; "" for nothing."""
    try:
        if not file.is_file():
            return "is missing"
        return "" if file.stat().st_size == entry.bytes and _entry(file) == entry else "is damaged"
    except OSError as error:
        return _unreadable(error)


def _unreadable(error: OSError) -> str:
    return f"cannot be read ({error.strerror or error})"


@contextmanager
def _as_os_error(place: str) -> Iterator[None]:
    """Raise as an OSError whatever a file system raises: each has its own classes for a network that is away."""
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        raise OSError(f"{place} cannot be read: {type(error).__name__}: {error}") from error


def _damaged(file: str, stored: StoredVersion, state: str) -> DamagedVersion:
    return DamagedVersion(f"{file} of model version {stored.version} {state}. {_REMEDY}", f"{file} {state}")


def _is_whole(stored: StoredVersion) -> bool:
    """Whether all files of a version are there: a damaged version must be stored again, not taken as done."""
    system, _ = fsspec.core.url_to_fs(stored.uri)
    is_local = isinstance(system, LocalFileSystem)
    # No copies are made of files that are at hand.
    with nullcontext("") if is_local else TemporaryDirectory() as copies:
        try:
            fetch_version(stored, Path(copies))
        except ModelError:
            return False
        return True


def _upload(folder: Path, system: fsspec.AbstractFileSystem, target: str, files: Mapping[str, bytes | None]) -> None:
    """Copy files to a store, those without content from the folder; where one cannot be written, none is left."""
    try:
        with told_of_full_disk(system.unstrip_protocol(target)):
            for name, content in files.items():
                if content is None:
                    system.put_file(str(folder / name), f"{target}/{name}")
                else:
                    system.pipe_file(f"{target}/{name}", content)
    except BaseException:
        with suppress(Exception):
            system.rm(target, recursive=True)
        raise


def _publish_local(folder: Path, target: Path, manifest: bytes, stored: StoredVersion, lock: str) -> None:
    aside = aside_of(target, lock)
    try:
        with told_of_full_disk(target.parent, sum(file.stat().st_size for file in folder.rglob("*")) + len(manifest)):
            _copy_folder(folder, aside)
            (aside / MANIFEST).write_bytes(manifest)
        if target.exists() and not _is_whole(stored):  # damaged, or left by a copy that was cut short elsewhere
            remove_folder(target, lock)
        try:
            aside.rename(target)
        except OSError:
            # Another run of the same night may have stored the very same version meanwhile.
            if not (target / MANIFEST).exists():
                raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _copy_folder(folder: Path, target: Path) -> None:
    """Copy the files of a folder; unlike `copytree`, the first error is raised as it is."""
    target.mkdir(parents=True)
    for file in sorted(folder.rglob("*")):
        copy = target / file.relative_to(folder)
        if file.is_dir():
            copy.mkdir(exist_ok=True)
        else:
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copy)


def _installed(libraries: Iterable[str]) -> dict[str, str]:
    """The versions of those libraries that are installed."""
    versions = {}
    for name in libraries:
        with suppress(PackageNotFoundError):
            versions[name] = installed_version(name)
    return versions


def _entry(file: Path) -> Entry:
    with file.open("rb") as stream:
        return Entry(os.fstat(stream.fileno()).st_size, hashlib.file_digest(stream, "sha256").hexdigest())
