"""Model versions as immutable folders, local or on any fsspec file system.

`<versions>/<job>/<version>/` holds a model's own files, and `manifest.json` with the SHA-256 digest of each. The
manifest is written last: a folder without it is not a version.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import fsspec
from fsspec.implementations.local import LocalFileSystem

from models.errors import ModelError

MANIFEST = "manifest.json"
# The series that a version has learnt from, or that were outside of its sample.
SERIES_FILE = "series_ids.npy"
# A machine that trains may have only one of Keras's backends.
_LIBRARIES = ("keras", "tensorflow", "jax", "numpy")


class DamagedVersion(ModelError):
    """A stored version is not whole; `found` names the file and what is wrong with it, without the remedy."""

    def __init__(self, message: str, found: str = "") -> None:
        super().__init__(message)
        self.found = found


@dataclass(frozen=True)
class StoredVersion:
    """A model version in the store: its name, its folder, and the digest of its manifest."""

    version: str
    uri: str
    digest: str


def store_version(folder: Path, versions: str, job: str, cutoff: datetime) -> StoredVersion:
    """Publish a saved model under a name made of its cutoff and its digest; never overwrites.

    Args:
        folder: Local folder that holds the saved model, without a manifest.
        versions: Folder of all versions, a path or an fsspec URL.
        job: The job's name.
        cutoff: Last timestamp that the model has seen.

    Raises:
        OSError: the store cannot be written.
    """
    digests = {str(file.relative_to(folder)): _digest(file) for file in sorted(folder.rglob("*")) if file.is_file()}
    manifest = json.dumps({"files": digests, "libraries": _installed(_LIBRARIES)})
    digest = hashlib.sha256(json.dumps(digests, sort_keys=True).encode()).hexdigest()
    version = f"{cutoff.astimezone(UTC):%Y%m%dT%H%M%SZ}-{digest[:8]}"
    system, root = fsspec.core.url_to_fs(versions)
    target = f"{root}/{job}/{version}"
    stored = StoredVersion(version, system.unstrip_protocol(target), digest)
    if not _is_whole(stored):
        if isinstance(system, LocalFileSystem):
            _publish_local(folder, Path(target), manifest, stored)
        else:
            for name in digests:
                system.put_file(str(folder / name), f"{target}/{name}")
            system.pipe_file(f"{target}/{MANIFEST}", manifest.encode())
    return stored


def locate_version(stored: StoredVersion, versions: str, job: str) -> StoredVersion:
    """The version with its present folder: where it was stored, or where the job's versions have been moved to."""
    for uri in (stored.uri, f"{versions}/{job}/{stored.version}"):
        system, root = fsspec.core.url_to_fs(uri)
        if system.exists(f"{root}/{MANIFEST}"):
            return replace(stored, uri=system.unstrip_protocol(root))
    return stored


def fetch_version(stored: StoredVersion, scratch: Path) -> Path:
    """The local folder of a version, every file checked against its digest.

    Args:
        stored: The version.
        scratch: Where files are copied to when the store is not a local folder.

    Raises:
        DamagedVersion: a file is missing, or is not the one that was stored; names it.
    """
    system, root = fsspec.core.url_to_fs(stored.uri)
    digests = _read_manifest(system, root, stored)
    if isinstance(system, LocalFileSystem):
        folder = Path(root)
    else:
        folder = scratch / stored.version
        for name, digest in digests.items():
            if (folder / name).is_file() and _digest(folder / name) == digest:
                continue
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            if system.exists(f"{root}/{name}"):
                system.get_file(f"{root}/{name}", str(folder / name))
    for name, digest in digests.items():
        if not (folder / name).is_file() or _digest(folder / name) != digest:
            state = "is damaged" if (folder / name).is_file() else "is missing"
            raise _damaged(f"{root}/{name}", stored, state)
    return folder


_REMEDY = (
    "Restore it from a backup, promote another version (nightcast models), or run once with training scratch "
    "(--train scratch)."
)


def _read_manifest(system: fsspec.AbstractFileSystem, root: str, stored: StoredVersion) -> dict[str, str]:
    try:
        digests: dict[str, str] = json.loads(system.cat_file(f"{root}/{MANIFEST}"))["files"]
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        raise _damaged(f"{root}/{MANIFEST}", stored, "is missing") from None
    except (ValueError, KeyError, TypeError):
        raise _damaged(f"{root}/{MANIFEST}", stored, "is damaged") from None
    if hashlib.sha256(json.dumps(digests, sort_keys=True).encode()).hexdigest() != stored.digest:
        raise _damaged(f"{root}/{MANIFEST}", stored, "is not the one that was stored")
    return digests


def _damaged(file: str, stored: StoredVersion, state: str) -> DamagedVersion:
    return DamagedVersion(f"{file} of model version {stored.version} {state}. {_REMEDY}", f"{file} {state}")


def _is_whole(stored: StoredVersion) -> bool:
    """Whether all files of a version are there: a damaged version must be stored again, not taken as done."""
    with TemporaryDirectory() as copies:
        try:
            fetch_version(stored, Path(copies))
        except ModelError:
            return False
        return True


def _publish_local(folder: Path, target: Path, manifest: str, stored: StoredVersion) -> None:
    aside = target.parent / f".{target.name}.{uuid4().hex[:8]}"
    try:
        shutil.copytree(folder, aside)
        (aside / MANIFEST).write_text(manifest, encoding="utf-8")
        if target.exists() and not _is_whole(stored):  # damaged, or left by a copy that was cut short elsewhere
            shutil.rmtree(target)
        try:
            aside.rename(target)
        except OSError:
            # Another run of the same night may have stored the very same version meanwhile.
            if not (target / MANIFEST).exists():
                raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _installed(libraries: Iterable[str]) -> dict[str, str]:
    """The versions of those libraries that are installed."""
    versions = {}
    for name in libraries:
        with suppress(PackageNotFoundError):
            versions[name] = installed_version(name)
    return versions


def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
