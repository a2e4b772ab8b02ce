"""Files that a night and its workers hand each other: in a local folder, or on any fsspec file system."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import fsspec

if TYPE_CHECKING:
    from tasks.store.places import Places


@contextmanager
def shared_folder(places: Places, run_id: str, scratch: Path, *, this_machine: bool) -> Iterator[str]:
    """A folder that the workers see too, gone afterwards: beside the model versions where those have a URL.

    Args:
        places: The job's places.
        run_id: The run, which names the folder.
        scratch: The run's local folder, which does where versions lie in a local one.
        this_machine: Whether all workers are processes of this machine.
    """
    folder = str(scratch / "shards")
    if "://" in places.versions and not this_machine:
        folder = f"{places.versions}/.nightcast/{run_id}"
    system, root = fsspec.core.url_to_fs(folder)
    system.makedirs(root, exist_ok=True)
    try:
        yield folder
    finally:
        with suppress(OSError):
            system.rm(root, recursive=True)


def store(file: Path, folder: str) -> str:
    """Copy a local file into a folder; gives its URL or path there."""
    system, root = fsspec.core.url_to_fs(folder)
    system.put_file(str(file), f"{root}/{file.name}")
    return f"{folder}/{file.name}"


def fetch(place: str, folder: Path) -> Path:
    """Copy a file into a local folder; gives its path there.

    Raises:
        FileNotFoundError: it is not there, or cannot be seen from here.
    """
    system, path = fsspec.core.url_to_fs(place)
    file = folder / place.rpartition("/")[2]
    system.get_file(path, str(file))
    return file


def at_hand(place: str, folder: Path) -> Path:
    """A local path to a file: its own, or that of its copy in a local folder where the file has a URL."""
    return fetch(place, folder) if "://" in place else Path(place)


def remove(place: str) -> None:
    """Remove a file; one that has gone already does no harm."""
    system, path = fsspec.core.url_to_fs(place)
    with suppress(FileNotFoundError):
        system.rm_file(path)
