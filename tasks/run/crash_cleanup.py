"""Put in order what a run left that was killed; for whoever has the job's turn, so that nobody else runs it."""

from __future__ import annotations

from datetime import UTC, datetime

from sql.errors import StorageError
from sql.migrations.migrate import migrate
from sql.output import write
from tasks.publishing.publish import mend
from tasks.step import logger
from tasks.store.places import Places


def clear_up(places: Places) -> None:
    """Remove what is left in the scratch folder, mark runs as crashed, and make their Parquet what the table says.

    Raises:
        StorageError: the database does not answer, or a newer release wrote its tables.
    """
    places.remove_left_over()
    if not places.has_runs():
        return
    migrate(places.engine())
    for row in write.mark_crashed(places.engine(), places.job, datetime.now(UTC)):
        logger().warning("The run %s of the night of %s had crashed.", row["run_id"], f"{row['cutoff']:%Y-%m-%d %H:%M}")
        try:
            mend(places, row["cutoff"])
        except (StorageError, OSError) as error:
            # The table is right, and it is the table that readers are told to trust.
            logger().warning("Its Parquet file could not be mended: %s", error)
