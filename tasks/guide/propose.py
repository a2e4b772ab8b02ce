"""Proposes a job from a sample of its source."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from models.arrays import IntArray
from models.calendar.grid import TimeGrid
from models.calendar.infer_frequency import Inferred, infer_frequency
from models.calendar.skipped_hour import skipped_hour
from models.calendar.zones import zone_names
from sql.errors import counted_rows
from sql.imports.dates import form_of_times
from sql.sample.sample import Sample
from tasks.guide.names import rank_of_time, says_when_known
from tasks.guide.number_columns import name_numbers
from tasks.guide.proposal import Columns, GuideError, Proposal, Range, Wishes, listed
from tasks.guide.series_columns import codes_of, name_series, name_static, require_columns

# Steps of at least so many seconds, and how many of them people usually plan ahead.
_HORIZONS = ((300 * 86_400, 3), (80 * 86_400, 4), (27 * 86_400, 12), (6 * 86_400, 13), (86_400, 28), (3_600, 48))
_MOST_SHORT_STEPS = 96
# A job takes more, but nobody means them by rows that are planned years ahead.
_MOST_STEPS = 1_000
# Zones in which many people live: days that begin at midnight in one of them have that zone most likely.
_ZONES = (
    "Europe/London", "Europe/Berlin", "Europe/Athens", "America/New_York", "America/Chicago", "America/Denver",
    "America/Los_Angeles", "America/Sao_Paulo", "Asia/Kolkata", "Asia/Shanghai", "Asia/Tokyo", "Australia/Sydney",
)  # fmt: skip
_REGULAR, _ON_GRID = 0.5, 0.95


def propose(sample: Sample, wishes: Wishes) -> Proposal:
    """The job that the rows suggest, and what they leave open.

    Args:
        sample: Some rows of the source.
        wishes: What the user says.

    Raises:
        GuideError: where there is no column of times or of numbers, a wished column is not there, the wished zone is
            unknown, or no series has two times.
    """
    wished = (*wishes.series_id, wishes.timestamp, wishes.value)
    require_columns(sample.rows, wished, sample.where)
    if wishes.time_zone is not None and wishes.time_zone not in zone_names():
        raise GuideError(
            f"{wishes.time_zone!r} is not a time zone of the IANA database. Use a name such as Europe/Madrid."
        )
    columns = _with_time(sample, wishes)
    rows = sample.rows.filter(pc.is_valid(sample.rows[columns.timestamp]))
    if missing := sample.rows.num_rows - rows.num_rows:
        columns.doubt(
            "source.timestamp", f"{counted_rows(missing)} without a time, which a night refuses; leave them out"
        )
    if not rows.num_rows:
        raise GuideError(f"The column {columns.timestamp!r} of {sample.where} holds no time. Name another one.")
    columns.value = wishes.value or ""
    name_series(rows, columns, wishes.series_id)
    series = codes_of(rows, columns.series_id)
    name_numbers(rows, columns, name_static(rows, columns, series), wishes.value, sample)
    columns.left_out |= {name: f"it holds {kind}, which a job does not read" for name, kind in sample.left_out.items()}
    proposal = _on_grid(sample, rows, columns, series, wishes)
    if sample.only_first:
        columns.doubt("source", f"only the first {rows.num_rows:,} rows were looked at")
    return proposal


def _with_time(sample: Sample, wishes: Wishes) -> Columns:
    times = [field.name for field in sample.rows.schema if pa.types.is_temporal(field.type)]
    if wishes.timestamp is not None and wishes.timestamp not in times:
        raise GuideError(
            f"The column {wishes.timestamp!r} of {sample.where} holds no times, but {_example(sample, wishes)}. Write "
            "them as 2024-01-31 or 2024-01-31 18:00:00, or say how a file writes them (--date-format)."
        )
    if not times:
        raise GuideError(
            f"{sample.where} has no column of times. It has {listed(sample.rows.column_names, 20)}. Write times as "
            "2024-01-31 or 2024-01-31 18:00:00, or say how a file writes them (--time COLUMN, --date-format)."
            f"{_maybe_times(sample)}"
        )
    order = sorted(times, key=rank_of_time)
    columns = Columns(wishes.timestamp or order[0])
    others = [name for name in order if name != columns.timestamp and not says_when_known(name)]
    if others and wishes.timestamp is None:
        columns.doubt("source.timestamp", f"it may also be {listed(others)}; name it (--timestamp) if so")
    if recorded := [name for name in order if name != columns.timestamp and says_when_known(name)]:
        columns.doubt("source.recorded_at", f"{recorded[0]} may be when a row became known; docs/job-file.md, As of")
    return columns


def _maybe_times(sample: Sample) -> str:
    """A hint at numbers that may be times, of which a file's can be named and a table's must be converted."""
    for name in sample.rows.column_names:
        column = sample.rows[name]
        if not (pa.types.is_integer(column.type) or pa.types.is_string(column.type)) or column.null_count == len(
            column
        ):
            continue
        fields = column.drop_null().cast(pa.string())
        if form := form_of_times(fields):
            meaning = "days" if form == "%Y%m%d" else "years" if form == "%Y" else form
            return (
                f" {name!r} holds {fields[0].as_py()} and the like: if these are {meaning}, say so (--time {name}, "
                "for a CSV file), or make them times in a view of a table."
            )
    return ""


def _example(sample: Sample, wishes: Wishes) -> str:
    values = sample.rows[wishes.timestamp].drop_null()
    return f"values such as {str(values[0].as_py())[:40]!r}" if len(values) else "nothing"


def _on_grid(sample: Sample, rows: pa.Table, columns: Columns, series: IntArray, wishes: Wishes) -> Proposal:
    """The proposal with frequency, zone, horizon and bounds."""
    times = pd.DatetimeIndex(rows[columns.timestamp].to_pandas())
    time_zone = wishes.time_zone or "UTC"
    inferred = infer_frequency(times, series, time_zone)
    if inferred is None:
        raise GuideError(
            f"No series of {sample.where} has two times in {columns.timestamp!r} that are a second to ten years apart, "
            f"if {listed(columns.series_id) or 'no column'} is its id. Name the column of the id (--series-id)."
        )
    if wishes.time_zone is None:
        time_zone, inferred = _with_zone(times, series, inferred, columns, sample.zones.get(columns.timestamp, "UTC"))
    _doubt_frequency(inferred, columns)
    grid = TimeGrid(inferred.frequency, time_zone, origin=inferred.origin)
    observed = rows[columns.value].is_valid().to_numpy()
    index, last = grid.to_index(times)[0], int(grid.to_index(times[observed])[0].max())
    horizon = wishes.horizon or _horizon(grid, columns, ahead=int(index.max()) - last)
    least, largest = (
        float(each.as_py()) for each in pc.min_max(rows[columns.value].cast(pa.float64(), safe=False)).values()
    )
    found = Range(rows.num_rows, len(np.unique(series)), times[observed].min(), times[observed].max(), least, largest)
    return Proposal(
        where=sample.where,
        whole=sample.whole,
        columns=columns,
        frequency=inferred.frequency,
        origin=inferred.origin,
        horizon=horizon,
        time_zone=time_zone,
        seasons=grid.default_season_lengths,
        lower_bound=0 if least >= 0 else None,
        found=found,
    )


def _with_zone(
    times: pd.DatetimeIndex, series: IntArray, found: Inferred, columns: Columns, named: str
) -> tuple[str, Inferred]:
    """The zone of the days, and the frequency in it: the one that the file names, unless that is UTC.

    Without that, only days and longer steps show it, by where they begin.
    """
    if named != "UTC" and named in zone_names():
        return named, infer_frequency(times, series, named) or found
    if times.tz is None:
        return _with_local_zone(times, series, found, columns)
    whole_days = TimeGrid(found.frequency).step_seconds >= 86_400
    if whole_days and (found.origin is not None or found.on_grid < _ON_GRID):
        for zone in _ZONES:
            there = infer_frequency(times, series, zone)
            if there is not None and there.origin is None and there.on_grid >= _ON_GRID:
                columns.doubt("forecast.time_zone", f"days begin at midnight in {zone}, and maybe in others (--zone)")
                return zone, there
    why = "every time has its offset from UTC, so no value moves, but the zone says when a day begins"
    columns.doubt("forecast.time_zone", f"{why}; UTC is assumed. Name yours (--zone)")
    return "UTC", found


def _with_local_zone(
    times: pd.DatetimeIndex, series: IntArray, found: Inferred, columns: Columns
) -> tuple[str, Inferred]:
    """The zone of times without one: steps of an hour or less show it, by the hour that clocks leave out in spring."""
    short = TimeGrid(found.frequency).step_seconds <= 3_600
    for zone in _ZONES if short else ():
        if day := skipped_hour(times, zone):
            columns.doubt(
                "forecast.time_zone",
                f"the times name no zone, but an hour is missing on {day:%Y-%m-%d} as in {zone}, and maybe in others "
                "(--zone)",
            )
            return zone, infer_frequency(times, series, zone) or found
    columns.doubt("forecast.time_zone", "the times name no zone; UTC is assumed. Name yours (--zone)")
    return "UTC", found


def _doubt_frequency(found: Inferred, columns: Columns) -> None:
    if found.regular < _REGULAR:
        columns.doubt(
            "forecast.frequency",
            f"only {found.regular:.0%} of the distances between times are one step, so these may be single events. "
            "Add them up by day or hour in a query",
        )
    elif found.on_grid < _ON_GRID:
        columns.doubt(
            "forecast.frequency", f"{1 - found.on_grid:.0%} of the times are no steps of it; `check` says which"
        )


def _horizon(grid: TimeGrid, columns: Columns, ahead: int) -> int:
    if columns.known_future and ahead > 0:
        columns.doubt(
            "forecast.horizon", f"as far ahead as {listed(columns.known_future)} is known (--horizon changes it)"
        )
        steps = ahead
    else:
        steps = next((number for least, number in _HORIZONS if grid.step_seconds >= least), 0)
        steps = steps or min(round(86_400 / grid.step_seconds), _MOST_SHORT_STEPS)
        columns.doubt("forecast.horizon", "how far ahead you plan is not in the rows (--horizon)")
    return min(steps, _MOST_STEPS)
