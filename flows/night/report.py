"""Write the report of a published night again, the page of one of its series, and the pages over all nights."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import NamedTuple

from flows.job.job import LoadedJob
from flows.night.published_night import night_at, require_series
from sql.full_disk import told_of_full_disk
from tasks.evaluation.series_nights import read_series_nights
from tasks.home.write import write_home
from tasks.night.ledger import Ledger
from tasks.planning.published_grid import published_origin
from tasks.reading.audit import audit_input
from tasks.reading.read_series import Extent, read_series
from tasks.report.series.one import write_series_page
from tasks.report.write import write_page


class Reported(NamedTuple):
    """What was written.

    Attributes:
        night: The page of the night.
        home: The page over all nights.
    """

    night: Path
    home: Path


def report_on(loaded: LoadedJob, cutoff: datetime | None) -> Reported:
    """Write the page of the night at `cutoff`, or of the newest, and the pages over all nights.

    Raises:
        JobError: that night was not published, or none was; names the newest published nights, or the page that lists
            those that failed.
    """
    ledger = Ledger.opened(loaded.places)
    night = night_at(loaded, ledger, cutoff)
    page = write_page(loaded.places, ledger, night["cutoff"], night["run_id"])
    return Reported(page, _write_home(loaded, ledger))


def report_on_series(loaded: LoadedJob, cutoff: datetime | None, series_id: str) -> Path:
    """Write the page of one series of the night at `cutoff`, or of the newest; gives its file.

    The forecasts come from the output tables, and the history from the source, as that night saw it.

    Raises:
        JobError: as `report_on`, or the night has no such series; names similar ones.
        InputError, SourceError, StorageError: as reading for a night.
    """
    ledger = Ledger.opened(loaded.places)
    night = night_at(loaded, ledger, cutoff)
    require_series(loaded, ledger, night, [series_id])
    job, now = loaded.job.on_grid_of(published_origin(loaded.job, ledger)), datetime.now(UTC)
    with told_of_full_disk(gettempdir()), TemporaryDirectory() as folder:
        rows_file = read_series(job, loaded.base, Extent(night["cutoff"], now), Path(folder))
        panel_file = audit_input(job, rows_file, night["cutoff"], now).panel_file
        found = read_series_nights(job, ledger, panel_file, night, series_id)
        return write_series_page(loaded.places, ledger, night, found.panel, found.tonight, found.past)


def _write_home(loaded: LoadedJob, ledger: Ledger) -> Path:
    return write_home(loaded.places, ledger, loaded.job.forecast.zone, monitor=loaded.job.monitor)
