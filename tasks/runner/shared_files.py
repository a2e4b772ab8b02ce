"""Files that a night and its workers exchange, in a local folder or on any fsspec file system."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import fsspec

from tasks.store.places import Places


@contextmanager
def shared_folder(places: Places, run_id: str, scratch: Path, *, this_machine: bool) -> Iterator[str]:
    """A folder that the workers can see too, removed afterwards.

    It is in the run's scratch folder; or beside the model versions, if these have a URL and workers are elsewhere.

    Args:
        places: The job's places.
        run_id: The run, which names the folder.
        scratch: The run's scratch folder.
        this_machine: Whether all workers are processes of this machine.
    """
    folder = str(scratch / "shards")
    if "://" in places.versions and not this_machine:
        folder = _beside_versions(places, run_id)
    system, root = fsspec.core.url_to_fs(folder)
    system.makedirs(root, exist_ok=True)
    try:
        yield folder
    finally:
        with suppress(OSError):
            system.rm(root, recursive=True)


def remove_left_shares(places: Places, run_id: str) -> None:
    """Remove what a run that is certainly dead shared beside the model versions.

    Raises:
        OSError: the place cannot be reached.
    """
    if "://" in places.versions:
        system, root = fsspec.core.url_to_fs(_beside_versions(places, run_id))
        if system.exists(root):
            system.rm(root, recursive=True)


def _beside_versions(places: Places, run_id: str) -> str:
    return f"{places.versions}/.nightcast/{run_id}"


def store(file: Path, folder: str) -> str:
    """Copy a local file into a folder, and return its URL or path there."""
    system, root = fsspec.core.url_to_fs(folder)
    system.put_file(str(file), f"{root}/{file.name}")
    return f"{folder}/{file.name}"


def fetch(place: str, folder: Path) -> Path:
    """Copy a file into a local folder, and return its path there.

    Raises:
        FileNotFoundError: there is no such file, or this machine cannot see it.
    """
    system, path = fsspec.core.url_to_fs(place)
    file = folder / place.rpartition("/")[2]
    system.get_file(path, str(file))
    return file


def at_hand(place: str, folder: Path) -> Path:
    """A local path to a file; one with a URL is copied into a local folder first."""
    return fetch(place, folder) if "://" in place else Path(place)


def remove(place: str) -> None:
    """Remove a file if it exists."""
    system, path = fsspec.core.url_to_fs(place)
    with suppress(FileNotFoundError):
        system.rm_file(path)
