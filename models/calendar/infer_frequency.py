"""Infer the frequency of a source from some of its timestamps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd

from models.arrays import DatetimeArray, IntArray
from models.calendar.frequency import DAY, DAYS_OF_YEAR, MONTHS, MOST_DAYS, SECOND, WEEKDAYS
from models.calendar.grid import TimeGrid
from models.calendar.origin import origin_of_timestamps

_UNITS = ((3_600 * SECOND, "h"), (60 * SECOND, "min"), (SECOND, "s"))
# Of 28 to 31 days is a month, of 90 to 92 a quarter, and so on.
_MONTH_DAYS = DAYS_OF_YEAR / 12
_SLACK_DAYS = 3
_ENOUGH_DAYS = 10
_ON_GRID = 0.95
_SATURDAY = 5


class Inferred(NamedTuple):
    """A frequency and how well it fits.

    Attributes:
        frequency: A pandas offset alias.
        origin: One step in local time, where the timestamps need one; None for the usual grid of the frequency.
        on_grid: The share of the timestamps that are steps of the grid.
        regular: The share of the distances within a series that are one step.
    """

    frequency: str
    origin: str | None
    on_grid: float
    regular: float


def infer_frequency(timestamps: pd.DatetimeIndex, series: IntArray, time_zone: str = "UTC") -> Inferred | None:
    """The frequency whose step is the commonest distance between two neighbours of a series.

    Of the calendar's frequencies, such as MS, ME and BME, it is the one that has the most timestamps as its steps.

    Args:
        timestamps: Shape (n,), in any order; with a zone, or local to `time_zone`. NaT counts for nothing.
        series: Shape (n,), a number for each series.
        time_zone: The zone of the days.

    Returns:
        None where no series has two timestamps that are at least a second and at most ten years apart.

    >>> months = pd.DatetimeIndex(["2024-01-31", "2024-02-29", "2024-03-31", "2024-04-30"])
    >>> infer_frequency(months, np.zeros(4, int))
    Inferred(frequency='ME', origin=None, on_grid=1.0, regular=1.0)
    """
    present = ~np.asarray(timestamps.isna())
    timestamps, series = timestamps[present], series[present]
    local = timestamps if timestamps.tz is None else timestamps.tz_convert(time_zone).tz_localize(None)
    clock = local.to_numpy().astype("datetime64[us]")
    # With a zone, distances are those of instants: a day of 23 hours has 23 steps of an hour.
    elapsed = timestamps if timestamps.tz is None else timestamps.tz_convert("UTC").tz_localize(None)
    gap = _commonest_gap(elapsed.to_numpy().astype("datetime64[us]"), series)
    if gap is None or gap < SECOND:
        return None
    distinct = timestamps.unique()
    found = [_fit(alias, distinct, time_zone) for alias in _aliases(gap, np.unique(clock))]
    grid, on_grid = max(found, key=lambda each: each[1])
    index, _ = grid.to_index(timestamps)
    steps = _gaps(index, series)
    regular = float(np.mean(steps == 1)) if len(steps) else 0.0
    return Inferred(grid.frequency, grid.origin, on_grid, regular)


def _gaps(times: IntArray, series: IntArray) -> IntArray:
    """The distances between neighbours of one series, without those of 0."""
    order = np.lexsort((times, series))
    times, series = times[order], series[order]
    gaps: IntArray = np.diff(times)[np.diff(series) == 0]
    return gaps[gaps > 0]


def _commonest_gap(times: DatetimeArray, series: IntArray) -> int | None:
    gaps = _gaps(times.astype(np.int64), series)
    # Longer ones are those to a day such as 9999-12-31, which stands for "never".
    lengths, counts = np.unique(gaps[gaps <= MOST_DAYS * DAY], return_counts=True)
    return int(lengths[counts.argmax()]) if len(lengths) else None


def _aliases(gap: int, clock: DatetimeArray) -> Iterator[str]:
    """The aliases that a step of so many microseconds may have, the likeliest first; distinct local times show more."""
    days = gap / DAY
    months = round(days / _MONTH_DAYS)
    if gap < DAY:
        size, unit = next(((size, unit) for size, unit in _UNITS if gap % size == 0), _UNITS[-1])
        yield _multiple(gap // size, unit)
        return
    is_weeks, is_months = gap % (7 * DAY) == 0, abs(days - months * _MONTH_DAYS) <= _SLACK_DAYS
    if is_weeks:
        weekday = np.bincount(pd.DatetimeIndex(clock).day_of_week, minlength=7).argmax()
        yield _multiple(gap // (7 * DAY), f"W-{WEEKDAYS[weekday]}")
    if months >= 1 and is_months:
        yield from _of_months(months, clock)
    if not is_weeks and not (months >= 1 and is_months):
        weekdays = pd.DatetimeIndex(np.unique(clock.astype("datetime64[D]"))).day_of_week
        if gap == DAY and len(weekdays) >= _ENOUGH_DAYS and (weekdays < _SATURDAY).all():
            yield "B"
        yield _multiple(round(days), "D")


def _of_months(months: int, clock: DatetimeArray) -> Iterator[str]:
    every = pd.DatetimeIndex(clock)
    month = int(np.bincount(every.month, minlength=13).argmax()) - 1
    for kind, size in (("Y", 12), ("Q", 3), ("M", 1)):
        if months % size:
            continue
        for alias in (f"{kind}S", f"{kind}E", f"B{kind}S", f"B{kind}E"):
            # Quarters and years are named by a month that begins or ends one; January or December need not be named.
            usual = (month + alias.endswith("E")) % size == 0
            yield _multiple(months // size, alias if usual else f"{alias}-{MONTHS[month]}")
        return


def _multiple(number: int, unit: str) -> str:
    return unit if number == 1 else f"{number}{unit}"


def _fit(alias: str, timestamps: pd.DatetimeIndex, time_zone: str) -> tuple[TimeGrid, float]:
    """The grid of an alias, with an origin where it needs one, and the share of the timestamps that are its steps."""
    grid = TimeGrid(alias, time_zone)
    share = _share(grid, timestamps)
    # A job finds the grid of 2W-FRI or 8h by itself; days that begin at six in the morning must be named.
    if share >= _ON_GRID or origin_of_timestamps(grid, [timestamps]) is not None:
        found = origin_of_timestamps(grid, [timestamps])
        return grid, share if found is None else _share(replace(grid, origin=found), timestamps)
    first = timestamps[0] if timestamps.tz is None else timestamps[0].tz_convert(time_zone).tz_localize(None)
    try:
        moved = replace(grid, origin=first.isoformat())
        better = _share(moved, timestamps)
    except ValueError:
        return grid, share
    return (moved, better) if better >= _ON_GRID else (grid, share)


def _share(grid: TimeGrid, timestamps: pd.DatetimeIndex) -> float:
    return float(grid.to_index(timestamps)[1].mean())
