"""Delete nights that are older than the job keeps them: first their rows, then their Parquet files and pages."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from pathlib import Path

import fsspec

from sql.errors import StorageError
from tasks.night.night import Night
from tasks.step import logger, step
from tasks.store.places import STAMP, Places, stamp


@step("delete old nights")
def delete_old_nights(night: Night) -> int:
    """Delete the nights that lie more than `output.keep_days` before tonight's cutoff.

    Tonight is published and judged by now. Where the database or a folder refuses, the log says so, and the next night
    tries again.

    Returns:
        The number of nights that were deleted from the tables.
    """
    keep = night.job.output.keep_days
    if keep is None:
        return 0
    before = night.cutoff - timedelta(days=keep)
    try:
        nights = night.ledger.delete_nights(before)
        _remove_files(night.places, before)
        _remove_pages(night.places.report, before)
    except (StorageError, OSError) as error:
        logger().warning("Old nights stay until the next run. %s", error)
        return 0
    return nights


def _remove_files(places: Places, before: datetime) -> None:
    system, folder = fsspec.core.url_to_fs(f"{places.parquet}/job={places.job}")
    if not system.exists(folder):
        return
    for path in system.ls(folder, detail=False):
        # A folder without a stamp belongs to somebody else.
        named = re.search(rf"/cutoff=({STAMP})/?$", str(path))
        if named and named[1] < stamp(before):
            system.rm(path, recursive=True)


def _remove_pages(folder: Path, before: datetime) -> None:
    """Remove the pages of old nights, and those of single series of them; pages of backtests stay."""
    for page in (*folder.glob("*.html"), *folder.glob("series/*.html")):
        named = re.match(rf"({STAMP})[.-]", page.name)
        if named and named[1] < stamp(before):
            page.unlink(missing_ok=True)
