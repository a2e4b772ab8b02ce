"""Clear up after a killed run; for the owner of the job's lock, so that nobody else runs the job meanwhile."""

from __future__ import annotations

from datetime import UTC, datetime

from sql.errors import StorageError
from sql.migrations.migrate import migrate
from tasks.night.ledger import Ledger
from tasks.publishing.publish import mend
from tasks.step import logger
from tasks.store.places import Places


def clear_up(places: Places) -> None:
    """Empty the scratch folder, mark killed runs as crashed, and make their Parquet files agree with the table.

    Raises:
        StorageError: the database does not answer, or a newer release wrote its tables.
    """
    places.remove_left_over()
    if not places.has_runs():
        return
    migrate(places.engine())
    for row in Ledger(places).mark_crashed(datetime.now(UTC)):
        logger().warning("The run %s of the night of %s had crashed.", row["run_id"], f"{row['cutoff']:%Y-%m-%d %H:%M}")
        try:
            mend(places, row["cutoff"])
        except (StorageError, OSError) as error:
            # The table is right, and readers trust the table.
            logger().warning("Its Parquet file could not be mended: %s", error)
