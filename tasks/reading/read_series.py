"""Read the history of every series from the source database into a file of Arrow rows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from models.calendar.grid import TimeGrid
from models.errors import InputError
from models.settings.forecast import ForecastSettings
from sql.errors import NoRows
from sql.source.as_of import known_at
from sql.source.read import Source, describe_source, first_timestamp, save_observations
from tasks.night.job import Job
from tasks.prefect_ui import show_progress
from tasks.reading.covariates import save_known_future
from tasks.step import step
from tasks.store.rows_file import StoredRows


@dataclass(frozen=True)
class Extent:
    """Which rows of a source are read; all of them, in every vintage, where nothing is given.

    Attributes:
        cutoff: The last timestamp to see; None for the newest.
        now: When the night runs, see `moment_of_knowledge`; None for every vintage of every row.
        since: The first timestamp to see; None for the oldest.
    """

    cutoff: datetime | None = None
    now: datetime | None = None
    since: datetime | None = None


# One retry only: an error such as a mistyped host shows at once, and the scheduler may run the night again.
@step("read history", retries=1, retry_delay_seconds=(4,))
def read_series(job: Job, base: Path, extent: Extent, scratch: Path, expected_rows: int | None = None) -> Path:
    """The source's rows as one Arrow file in `scratch`: all, or those that a night at the cutoff would have seen.

    Args:
        job: Its source and its time grid.
        base: The folder of the job file.
        extent: Which rows.
        scratch: Folder for the file.
        expected_rows: The number of rows that an earlier night read, to show progress by; None where it is not known.

    Raises:
        InputError: every row lies after the cutoff; names the first.
        SourceError, StorageError: as `read_observations`.
    """
    source, grid, cutoff = job.source, job.forecast.grid, extent.cutoff
    steps_ahead = job.forecast.horizon if source.known_future else 0
    until = None if cutoff is None else _bound(grid, cutoff, steps_ahead)
    known_at = None if extent.now is None else moment_of_knowledge(source, grid, cutoff, extent.now)
    file, show = scratch / "observations.arrow", show_progress("reading")

    def show_rows(rows: int) -> None:
        # The number of rows is known only when the last one has come.
        show(min(0.99, rows / expected_rows) if expected_rows else 0.0, f"{rows:,} rows")

    try:
        save_observations(source, file, base, extent.since, until, job.forecast.time_zone, known_at, show_rows)
    except NoRows:
        if cutoff is not None:
            _refuse_early(job, base, cutoff)
        raise
    ahead = None if cutoff is None else _bound(grid, cutoff, job.forecast.horizon)
    save_known_future(job, base, file, ahead, known_at)
    show(1.0, f"{describe_source(source, base)} is read")
    return file


def _bound(grid: TimeGrid, cutoff: datetime, steps_ahead: int) -> datetime:
    """The last moment that may be read for a night with a cutoff, which sees some steps ahead.

    The grid may turn out to have other steps, of the same length, when the rows are there.
    """
    spare = steps_ahead > 0 and grid.has_others
    return grid.past_repeat(max(cutoff, last_moment(grid, cutoff, steps_ahead + spare)))


def moment_of_knowledge(source: Source, grid: TimeGrid, cutoff: datetime | None, now: datetime) -> datetime | None:
    """The moment until which a row must have been recorded to count; None where the source does not say when.

    The night of the newest step knows all that is recorded now. The night of a past cutoff knows what was recorded
    `source.delay_hours` after the end of the cutoff's step, when it ran or would have run.
    """
    if not source.says_when_known:
        return None
    if cutoff is None:
        return now
    end = grid.begin(grid.position(cutoff) + 1)
    return min(now, end + timedelta(hours=source.delay_hours))


def _refuse_early(job: Job, base: Path, cutoff: datetime) -> None:
    """Raise an error where the first row of the source lies after the step of the cutoff."""
    source, zone, grid = job.source, job.forecast.zone, job.forecast.grid
    first = first_timestamp(source, base, job.forecast.time_zone)
    if first is None:
        return
    begin = first if first.tzinfo else first.replace(tzinfo=zone)
    if begin > last_moment(grid, cutoff, 0):
        step = grid.instant(grid.position(cutoff))
        newest, oldest = (f"{moment.astimezone(zone):%Y-%m-%d %H:%M}" for moment in (step, begin))
        raise InputError(
            f"No row of {describe_source(source, base)} is as old as the cutoff {newest}: the first is of {oldest} "
            f"({job.forecast.time_zone}). Give a later cutoff."
        ) from None


def last_moment(grid: TimeGrid, cutoff: datetime, steps_ahead: int) -> datetime:
    """The last microsecond of the grid step that lies `steps_ahead` after the newest one not after the cutoff.

    A step has rows until its end where the grid is coarser than the source.

    >>> from datetime import UTC
    >>> last_moment(TimeGrid("D"), datetime(2024, 2, 28, 5, tzinfo=UTC), 2).isoformat()
    '2024-03-01T23:59:59.999999+00:00'
    """
    return grid.begin(grid.position(cutoff) + steps_ahead + 1) - timedelta(microseconds=1)


def instants_between(grid: TimeGrid, first: datetime, last: datetime) -> list[datetime]:
    """The instants of the grid's steps from `first` to `last`, both included."""
    index, on_grid = grid.to_index(pd.DatetimeIndex([first, last]))
    steps = np.arange(index[0] + (not on_grid[0]), index[1] + 1)
    return [moment.to_pydatetime() for moment in pd.DatetimeIndex(grid.to_utc(steps), tz="UTC")]


def seen_at(rows: pa.Table, source: Source, forecast: ForecastSettings, cutoff: datetime, now: datetime) -> pa.Table:
    """The rows that a night at a cutoff would have seen, of the series that existed by then.

    Args:
        rows: Every vintage, as `read_series` gives them where `now` is None.
        source: Where they came from.
        forecast: The time grid.
        cutoff: The last timestamp to see.
        now: The latest moment at which the night may have run.

    Raises:
        InputError: nothing had been recorded when that night ran.
    """
    grid, times = forecast.grid, rows["timestamp"]
    until = grid.past_repeat(last_moment(grid, cutoff, forecast.horizon if source.known_future else 0))
    limit = until if times.type.tz else until.astimezone(forecast.zone).replace(tzinfo=None)
    seen = rows.filter(pc.less_equal(times, pa.scalar(limit, times.type)))
    moment = moment_of_knowledge(source, grid, cutoff, now)
    if moment is not None and source.recorded_at is not None:
        seen = known_at(seen, moment)
        if not seen.num_rows:
            raise InputError(
                f"No row up to the cutoff {cutoff:%Y-%m-%d %H:%M %Z} was recorded ({source.recorded_at!r}) by "
                f"{moment:%Y-%m-%d %H:%M %Z}, when its night would have run. Take later cutoffs, set "
                "source.delay_hours, or leave recorded_at out where it tells when the table was loaded."
            )
    # Encoded again: the dictionary would still name series that begin later.
    names = seen["series_id"].cast(pa.string()).dictionary_encode().unify_dictionaries()
    return seen.set_column(seen.schema.get_field_index("series_id"), "series_id", names)


def as_of(rows_file: Path) -> bool:
    """Whether a file holds rows as they were known at some moment, and not only as they are now."""
    return "recorded_at" in StoredRows(rows_file).column_names


def recorded_since(rows_file: Path, moment: datetime, forecast_zone: ZoneInfo) -> datetime | None:
    """The oldest timestamp of the rows that were recorded after a moment; None where none was, or this is not known.

    Args:
        rows_file: From `read_series`.
        moment: The moment, with a zone.
        forecast_zone: The zone of timestamps without one.
    """
    rows = StoredRows(rows_file)
    if "recorded_at" not in rows.column_names:
        return None
    oldest: datetime | None = None
    for batch in rows.batches(["timestamp", "recorded_at"]):
        newer = pc.greater(batch["recorded_at"], pa.scalar(moment, batch["recorded_at"].type))
        found = pc.min(batch["timestamp"].filter(newer)).as_py()
        oldest = found if oldest is None else oldest if found is None else min(oldest, found)
    return oldest if oldest is None or oldest.tzinfo else oldest.replace(tzinfo=forecast_zone)
