"""Read the history of every series from the source database into a file of Arrow rows."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.ipc

from models.errors import InputError
from models.settings import ForecastSettings
from models.time_grid import TimeGrid
from sql.errors import NoRows
from sql.read import Source, describe_source, first_timestamp, read_observations
from tasks.covariates import save_known_future
from tasks.step import step


# Nothing is lost yet: whoever mistyped a host waits for seconds, and the scheduler may try the night again.
@step("read history", retries=1, retry_delay_seconds=(4,))
def read_series(source: Source, base: Path, forecast: ForecastSettings, cutoff: datetime | None, scratch: Path) -> Path:
    """The source's rows as one Arrow file in `scratch`: all, or those that a night at `cutoff` would have seen.

    Raises:
        InputError: every row lies after the cutoff; names the first.
        SourceError, StorageError: as `read_observations`.
    """
    grid = TimeGrid(forecast.frequency, forecast.time_zone)
    steps_ahead = forecast.horizon if source.known_future else 0
    until = None if cutoff is None else grid.past_repeat(last_instant(grid, cutoff, steps_ahead))
    try:
        rows = read_observations(source, base, until=until, time_zone=forecast.time_zone)
    except NoRows:
        if cutoff is not None:
            _refuse_early(source, base, forecast, last_instant(grid, cutoff, 0))
        raise
    if cutoff is not None and until is not None:
        rows = not_after(rows, until, forecast)
        if not rows.num_rows:
            _refuse_early(source, base, forecast, last_instant(grid, cutoff, 0))
    file = save_rows(rows, scratch / "observations.arrow")
    ahead = None if cutoff is None else grid.past_repeat(last_instant(grid, cutoff, forecast.horizon))
    save_known_future(source, base, forecast, file, ahead)
    return file


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

    >>> last_instant(TimeGrid("D"), datetime(2024, 2, 28, 5, tzinfo=UTC), 2)
    datetime.datetime(2024, 3, 1, 0, 0, tzinfo=datetime.timezone.utc)
    """
    index, _ = grid.to_index(pd.DatetimeIndex([cutoff]))
    return pd.Timestamp(grid.to_utc(index + steps_ahead)[0]).to_pydatetime().replace(tzinfo=UTC)


def instants_between(grid: TimeGrid, first: datetime, last: datetime) -> list[datetime]:
    """The instants of the grid's steps from `first` to `last`, both included."""
    index, on_grid = grid.to_index(pd.DatetimeIndex([first, last]))
    steps = np.arange(index[0] + (not on_grid[0]), index[1] + 1)
    return [moment.to_pydatetime() for moment in pd.DatetimeIndex(grid.to_utc(steps), tz="UTC")]


def not_after(rows: pa.Table, until: datetime, forecast: ForecastSettings) -> pa.Table:
    """The rows up to an instant, of the series that had begun by then."""
    # Databases without a timestamp type give every row, and a night run again must not see later ones.
    times = rows["timestamp"]
    bound = TimeGrid(forecast.frequency, forecast.time_zone).past_repeat(until)
    limit = until if times.type.tz else bound.astimezone(forecast.zone).replace(tzinfo=None)
    seen = rows.filter(pc.less_equal(times, pa.scalar(limit, times.type)))
    # Encoded anew, or series that begin later would still be named in the dictionary.
    names = seen["series_id"].cast(pa.string()).dictionary_encode().unify_dictionaries()
    return seen.set_column(seen.schema.get_field_index("series_id"), "series_id", names)


def save_rows(rows: pa.Table, file: Path) -> Path:
    """Write a table as an Arrow file; gives `file` back."""
    with pa.ipc.new_file(str(file), rows.schema) as writer:
        writer.write_table(rows)
    return file


def load_rows(file: Path) -> pa.Table:
    """The table that `save_rows` wrote, mapped into memory rather than read."""
    with pa.memory_map(str(file)) as source, pa.ipc.open_file(source) as reader:
        return reader.read_all()
