"""Let go of nights that are older than the job keeps them: their rows, then their Parquet files."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

import fsspec

from sql.errors import StorageError
from sql.output.retention import forget_nights
from tasks.step import logger, step
from tasks.store.places import Places, stamp


@step("let go of old nights")
def forget(places: Places, cutoff: datetime) -> int:
    """Delete the nights that lie more than `output.keep_days` before tonight's cutoff; the rest waits for the next one.

    Tonight is published and judged by now: where the database or a folder refuses, the log says so, and the next
    night tries again.

    Returns:
        The number of nights that left the tables.
    """
    keep = places.output.keep_days
    if keep is None:
        return 0
    before = cutoff - timedelta(days=keep)
    try:
        nights = forget_nights(places.engine(), places.job, before)
        _remove_files(places, before)
    except (StorageError, OSError) as error:
        logger().warning("Old nights stay until the next run. %s", error)
        return 0
    return nights


def _remove_files(places: Places, before: datetime) -> None:
    system, folder = fsspec.core.url_to_fs(f"{places.parquet}/job={places.job}")
    if not system.exists(folder):
        return
    for path in system.ls(folder, detail=False):
        # Stamps sort as time does; what is not named by one is somebody else's.
        named = re.search(r"/cutoff=(\d{4}-\d\d-\d\dT\d{6}Z)/?$", str(path))
        if named and named[1] < stamp(before):
            system.rm(path, recursive=True)
