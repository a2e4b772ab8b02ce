"""Clear up after runs that ended early; for the owner of the job's lock, so that nobody else runs the job meanwhile."""

from __future__ import annotations

import shutil
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from sql.errors import StorageError
from sql.migrations.migrate import migrate
from tasks.night.ledger import Ledger
from tasks.publishing.publish import mend
from tasks.runner.shared_files import remove_left_shares
from tasks.step import logger
from tasks.store.ownership import is_aside
from tasks.store.places import Places

_DAY_SECONDS = 86_400.0


def clear_up(places: Places) -> None:
    """Remove the scratch of dead runs, mark killed runs as crashed, and make Parquet files agree with the table.

    A file may differ where a run crashed, or began to publish and never committed, whatever state it ended in.

    Raises:
        StorageError: the database does not answer, or a newer release wrote its tables.
    """
    places.remove_left_over()
    _remove_half_versions(places)
    if not places.has_runs():
        return
    migrate(places.engine())
    ledger = Ledger(places)
    crashed = ledger.mark_crashed(datetime.now(UTC))
    for row in crashed:
        logger().warning("The run %s of the night of %s had crashed.", row["run_id"], f"{row['cutoff']:%Y-%m-%d %H:%M}")
        with suppress(OSError):
            remove_left_shares(places, row["run_id"])
    unsettled = ledger.unsettled_runs()
    for cutoff in sorted({row["cutoff"] for row in (*crashed, *unsettled)}):
        runs = [row["run_id"] for row in unsettled if row["cutoff"] == cutoff]
        try:
            mend(places, cutoff, runs)
            if runs:
                ledger.settle_runs(runs)
        except (StorageError, OSError) as error:
            # The table is right, and readers trust the table.
            logger().warning(
                "The Parquet file of the night of %s could not be mended: %s", f"{cutoff:%Y-%m-%d %H:%M}", error
            )


def _remove_half_versions(places: Places) -> None:
    """Remove the hidden folders of versions that were being stored on a local disk; other jobs' once a day old."""
    if "://" in places.versions:
        return
    for aside in Path(places.versions, places.job).glob(".*.????????"):
        with suppress(OSError):
            if is_aside(aside, places.lock) or time.time() - aside.stat().st_ctime > _DAY_SECONDS:
                shutil.rmtree(aside)
