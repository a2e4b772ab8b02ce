"""Write the report of a published night again, the page of one of its series, and the pages over all nights."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import Any, NamedTuple

from flows.job.job import JobError, LoadedJob
from flows.job.moments import local_day
from flows.job.problems import abbreviate
from sql.full_disk import told_of_full_disk
from tasks.evaluation.series_nights import read_series_nights
from tasks.home.write import write_home
from tasks.night.ledger import Ledger
from tasks.planning.published_grid import published_origin
from tasks.reading.audit import audit_input
from tasks.reading.read_series import Extent, read_series
from tasks.report.series.one import write_series_page
from tasks.report.write import write_page

_SIMILAR = 5


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
    night = _night_at(loaded, ledger, cutoff)
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
    night = _night_at(loaded, ledger, cutoff)
    _require_series(loaded, ledger, night, series_id)
    job, now = loaded.job.on_grid_of(published_origin(loaded.job, ledger)), datetime.now(UTC)
    with told_of_full_disk(gettempdir()), TemporaryDirectory() as folder:
        rows_file = read_series(job, loaded.base, Extent(night["cutoff"], now), Path(folder))
        panel_file = audit_input(job, rows_file, night["cutoff"], now).panel_file
        found = read_series_nights(job, ledger, panel_file, night, series_id)
        return write_series_page(loaded.places, ledger, night, found.panel, found.tonight, found.past)


def _require_series(loaded: LoadedJob, ledger: Ledger, night: Mapping[str, Any], series_id: str) -> None:
    known = ledger.series_ids_of(night["cutoff"])
    if series_id in known:
        return
    folded = {each.casefold(): each for each in known}
    near = [folded[each] for each in get_close_matches(series_id.casefold(), list(folded), n=_SIMILAR)]
    # Names that hold what was typed, where none is like the whole of it.
    near = near or [each for each in known if series_id.casefold() in each.casefold()][:_SIMILAR]
    similar = f"similar ones are {', '.join(map(abbreviate, near))}" if near else f"it has {len(known):,} others"
    day = local_day(night["cutoff"], loaded.job.forecast.zone)
    raise JobError(
        f"The night of {day} of {loaded.job.name} has no series {abbreviate(series_id)}; {similar}. Name one of them."
    )


def _write_home(loaded: LoadedJob, ledger: Ledger) -> Path:
    return write_home(loaded.places, ledger, loaded.job.forecast.zone, monitor=loaded.job.monitor)


def _night_at(loaded: LoadedJob, ledger: Ledger, cutoff: datetime | None) -> Mapping[str, Any]:
    """The row of a published night."""
    nights = ledger.publications()
    if not nights:
        tried = ledger.runs()
        home = f" {_write_home(loaded, ledger)} lists those that failed." if tried else ""
        raise JobError(f"{loaded.job.name} has no night in {loaded.places.url_text} yet.{home} Try `nightcast run`.")
    chosen = [night for night in nights if cutoff in (None, night["cutoff"])]
    if not chosen:
        known = [f"{night['cutoff']:%Y-%m-%dT%H:%MZ}" for night in nights[-5:]]
        raise JobError(f"{loaded.job.name} has no night of {cutoff}; the newest are {known}. Name one.")
    return chosen[-1]
