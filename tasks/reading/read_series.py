"""Read the history of every series from the source database into a file of Arrow rows."""

from __future__ import annotations

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
from tasks.prefect_ui import show_progress
from tasks.reading.covariates import save_known_future
from tasks.step import step
from tasks.store.rows_file import StoredRows


# Nothing is lost yet: whoever mistyped a host waits for seconds, and the scheduler may try the night again.
@step("read history", retries=1, retry_delay_seconds=(4,))
def read_series(
    source: Source,
    base: Path,
    forecast: ForecastSettings,
    cutoff: datetime | None,
    now: datetime | None,
    scratch: Path,
    since: datetime | None = None,
    usual: int | None = None,
) -> Path:
    """The source's rows as one Arrow file in `scratch`: all, or those that a night at `cutoff` would have seen.

    Args:
        source: Where they lie.
        base: The folder of the job file.
        forecast: The grid.
        cutoff: The last timestamp to see; None for the newest.
        now: When the night runs, see `moment_of_knowledge`; None for every revision of every row.
        scratch: Where the file goes.
        since: The first timestamp to see; None for the oldest.
        usual: How many rows an earlier night read, by which progress is told; None where nobody knows.

    Raises:
        InputError: every row lies after the cutoff; names the first.
        SourceError, StorageError: as `read_observations`.
    """
    grid = TimeGrid(forecast.frequency, forecast.time_zone)
    steps_ahead = forecast.horizon if source.known_future else 0
    until = None if cutoff is None else grid.past_repeat(last_instant(grid, cutoff, steps_ahead))
    moment = None if now is None else moment_of_knowledge(source, grid, cutoff, now)
    file, tell = scratch / "observations.arrow", show_progress("reading")

    def so_far(rows: int) -> None:
        # Nobody knows how many rows there are before the last one has come.
        tell(min(0.99, rows / usual) if usual else 0.0, f"{rows:,} rows")

    try:
        save_observations(source, file, base, since, until, forecast.time_zone, moment, so_far)
    except NoRows:
        if cutoff is not None:
            _refuse_early(source, base, forecast, last_instant(grid, cutoff, 0))
        raise
    ahead = None if cutoff is None else grid.past_repeat(last_instant(grid, cutoff, forecast.horizon))
    save_known_future(source, base, forecast, file, ahead, moment)
    tell(1.0, f"{describe_source(source, base)} is read")
    return file


def moment_of_knowledge(source: Source, grid: TimeGrid, cutoff: datetime | None, now: datetime) -> datetime | None:
    """The moment up to which recorded rows count; None where the source does not say when rows were recorded.

    The night of the newest step knows what is known now. The night of a past cutoff runs, or would have run,
    `source.delay_hours` after the end of the cutoff's step.
    """
    if not source.says_when_known:
        return None
    if cutoff is None:
        return now
    return min(now, last_instant(grid, cutoff, 1) + timedelta(hours=source.delay_hours))


def _refuse_early(source: Source, base: Path, forecast: ForecastSettings, step: datetime) -> None:
    """Say so where the first row of the source lies after the step of the cutoff."""
    first = first_timestamp(source, base, forecast.time_zone)
    if first is None:
        return
    begin = first if first.tzinfo else first.replace(tzinfo=forecast.zone)
    if begin > step:
        cutoff, oldest = (f"{moment.astimezone(forecast.zone):%Y-%m-%d %H:%M}" for moment in (step, begin))
        raise InputError(
            f"No row of {describe_source(source, base)} is as old as the cutoff {cutoff}: the first is of {oldest} "
            f"({forecast.time_zone}). Give a later cutoff."
        ) from None


def last_instant(grid: TimeGrid, cutoff: datetime, steps_ahead: int) -> datetime:
    """The instant of the grid step that lies `steps_ahead` after the newest one not after the cutoff.

    >>> from datetime import UTC
    >>> last_instant(TimeGrid("D"), datetime(2024, 2, 28, 5, tzinfo=UTC), 2)
    datetime.datetime(2024, 3, 1, 0, 0, tzinfo=datetime.timezone.utc)
    """
    return grid.instant(grid.position(cutoff) + steps_ahead)


def instants_between(grid: TimeGrid, first: datetime, last: datetime) -> list[datetime]:
    """The instants of the grid's steps from `first` to `last`, both included."""
    index, on_grid = grid.to_index(pd.DatetimeIndex([first, last]))
    steps = np.arange(index[0] + (not on_grid[0]), index[1] + 1)
    return [moment.to_pydatetime() for moment in pd.DatetimeIndex(grid.to_utc(steps), tz="UTC")]


def seen_at(rows: pa.Table, source: Source, forecast: ForecastSettings, cutoff: datetime, now: datetime) -> pa.Table:
    """The rows that a night at a cutoff would have seen, of the series that had begun by then.

    Args:
        rows: Every revision, as `read_series` leaves them where `now` is None.
        source: What they are.
        forecast: The grid.
        cutoff: The last timestamp to see.
        now: No night has run later.

    Raises:
        InputError: nothing had been recorded when that night ran.
    """
    grid, times = TimeGrid(forecast.frequency, forecast.time_zone), rows["timestamp"]
    until = grid.past_repeat(last_instant(grid, cutoff, forecast.horizon if source.known_future else 0))
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
    # Encoded anew, or series that begin later would still be named in the dictionary.
    names = seen["series_id"].cast(pa.string()).dictionary_encode().unify_dictionaries()
    return seen.set_column(seen.schema.get_field_index("series_id"), "series_id", names)


def as_of(rows_file: Path) -> bool:
    """Whether a file holds rows as they were known when they were read for, and not only as they are now."""
    return "recorded_at" in StoredRows(rows_file).column_names


def recorded_since(rows_file: Path, moment: datetime, forecast_zone: ZoneInfo) -> datetime | None:
    """The oldest timestamp of the rows that were recorded after a moment; None where none was, or nobody says.

    Args:
        rows_file: From `read_series`.
        moment: With a zone.
        forecast_zone: Where timestamps without a zone are meant.
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
