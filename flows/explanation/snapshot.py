"""The published night that a question is about, read in one snapshot, so that a night that is publishing now changes
nothing of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import NamedTuple

from flows.job.job import JobError, LoadedJob
from flows.night.published_night import night_at, require_series
from sql.downstream.scenarios import PublishedNight, published_night
from sql.full_disk import told_of_full_disk
from tasks.explanation.again import Again, forecast_again
from tasks.night.ledger import Ledger
from tasks.planning.published_grid import published_origin


class Asked(NamedTuple):
    """A question's night.

    Attributes:
        loaded: The job.
        ledger: What it has in the output tables.
        night: The night, of the series asked for.
    """

    loaded: LoadedJob
    ledger: Ledger
    night: PublishedNight

    @property
    def horizon(self) -> int:
        """Number of steps of the night."""
        return max(int(row["step"]) for row in self.night.rows)

    @property
    def fallback(self) -> dict[str, str]:
        """The series that the fallback forecast, each with the reason."""
        return {row["series_id"]: row["reason"] or "" for row in self.night.rows if row["source"] == "fallback"}

    @property
    def by_model(self) -> bool:
        """Whether the model forecast any of the series."""
        return any(row["source"] == "model" for row in self.night.rows)

    @contextmanager
    def again(self) -> Iterator[Again]:
        """The series that the model forecast, ready to be forecast again."""
        job = self.loaded.job.on_grid_of(published_origin(self.loaded.job, self.ledger))
        with told_of_full_disk(gettempdir()), TemporaryDirectory() as folder:
            yield forecast_again(job, self.loaded.places, self.night, Path(folder))


def ask(loaded: LoadedJob, cutoff: datetime | None, series_ids: Sequence[str]) -> Asked:
    """The night at `cutoff`, or the newest.

    Args:
        loaded: The job.
        cutoff: The night; None for the newest.
        series_ids: The series that the question is about; none for all of them.

    Raises:
        JobError: no such night is published, or it has no such series; names similar ones.
        SourceError, StorageError: the output database does not answer, or has no tables yet.
    """
    ledger = Ledger.opened(loaded.places)
    chosen = night_at(loaded, ledger, cutoff)
    require_series(loaded, ledger, chosen, series_ids)
    night = published_night(ledger.engine, ledger.job, chosen["cutoff"], [*series_ids] or None)
    if night is None or not night.rows:
        raise JobError(f"The night of {chosen['cutoff']} was deleted just now. Name a newer one, or none.")
    return Asked(loaded, ledger, night)
