"""Clear up after runs that ended early; for the owner of the job's lock, so that nobody else runs the job meanwhile."""

from __future__ import annotations

from datetime import UTC, datetime

from sql.errors import StorageError
from sql.migrations.migrate import migrate
from tasks.night.ledger import Ledger
from tasks.publishing.publish import mend
from tasks.step import logger
from tasks.store.places import Places


def clear_up(places: Places) -> None:
    """Empty the scratch folder, mark killed runs as crashed, and make Parquet files agree with the table.

    A file may differ where a run crashed, or began to publish and never committed, whatever state it ended in.

    Raises:
        StorageError: the database does not answer, or a newer release wrote its tables.
    """
    places.remove_left_over()
    if not places.has_runs():
        return
    migrate(places.engine())
    ledger = Ledger(places)
    crashed = ledger.mark_crashed(datetime.now(UTC))
    for row in crashed:
        logger().warning("The run %s of the night of %s had crashed.", row["run_id"], f"{row['cutoff']:%Y-%m-%d %H:%M}")
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
