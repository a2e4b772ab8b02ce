"""Rows of the source on the time grid: in order, each place once, and what had to be left out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from models.errors import InputError
from models.repeated_hours import second_pass
from models.time_grid import TimeGrid

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
EXAMPLES = 5


@dataclass(frozen=True)
class Finding:
    """One kind of oddity in the input.

    Attributes:
        kind: What it is, in a few words.
        count: How many rows, steps or series.
        examples: Five of them at most.
        action: What the night did about it.
    """

    kind: str
    count: int
    examples: tuple[str, ...]
    action: str

    def __str__(self) -> str:
        return f"{self.count} {self.kind} ({', '.join(self.examples)}): {self.action}"


@dataclass(frozen=True)
class Rows:
    """Rows on the grid: parallel arrays of shape (row,).

    Attributes:
        series: Row numbers into `series_ids`.
        index: Grid positions.
        value: float64, NaN where not observed.
        row: Places in the source's table.
    """

    series_ids: npt.NDArray[np.str_]
    series: IntArray
    index: IntArray
    value: npt.NDArray[np.float64]
    row: IntArray

    def take(self, keep: BoolArray | IntArray) -> Rows:
        return Rows(self.series_ids, self.series[keep], self.index[keep], self.value[keep], self.row[keep])

    def names(self, keep: BoolArray) -> tuple[str, ...]:
        """Ids of the series of the first kept rows."""
        return tuple(str(name) for name in self.series_ids[pd.unique(self.series[keep])[:EXAMPLES]])


def instant_of(grid: TimeGrid, index: int) -> datetime:
    """The UTC instant of one grid position."""
    return pd.Timestamp(grid.to_utc(np.array([index]))[0]).to_pydatetime().replace(tzinfo=UTC)


def _second_time(
    moments: npt.NDArray[np.datetime64],
    series: IntArray,
    series_ids: npt.NDArray[np.str_],
    grid: TimeGrid,
    findings: list[Finding],
) -> BoolArray:
    """Rows of the second time that the clocks showed an hour, and a word about them."""
    again, in_doubt = second_pass(moments, series, grid)
    for kind, found, action in (
        ("rows of an hour that came twice", again, "taken as its second time"),
        ("of them among rows in no order of time", in_doubt, "the later one in the source taken as the second"),
    ):
        if found.any():
            examples = tuple(str(name) for name in series_ids[pd.unique(series[found])[:EXAMPLES]])
            findings.append(Finding(kind, int(found.sum()), examples, action))
    return again


def place_on_grid(rows: pa.Table, grid: TimeGrid, findings: list[Finding]) -> Rows:
    """Rows with their grid positions, those off the grid left out."""
    ids = rows["series_id"].combine_chunks()
    if not pa.types.is_dictionary(ids.type):
        ids = pc.dictionary_encode(ids)
    if isinstance(ids, pa.ChunkedArray):
        ids = ids.unify_dictionaries().chunk(0)
    names = np.asarray(ids.dictionary.to_pylist(), dtype=str)
    order = np.argsort(names, kind="stable")
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    series = rank[ids.indices.to_numpy(zero_copy_only=False)].astype(np.int64)
    times = rows["timestamp"]
    moments = times.cast(pa.timestamp("us", times.type.tz)).to_numpy().astype("datetime64[us]")
    again = None if times.type.tz else _second_time(moments, series, names[order], grid, findings)
    index, on_grid = grid.to_index(pd.DatetimeIndex(moments, tz="UTC") if times.type.tz else moments, again)
    value = pc.fill_null(rows["value"].cast(pa.float64()), float("nan")).to_numpy()
    placed = Rows(names[order], series, index, value, np.arange(rows.num_rows))
    off = ~on_grid
    if 2 * off.sum() > len(off):
        examples = [str(moment) for moment in moments[off][:EXAMPLES]]
        raise InputError(
            f"{int(off.sum())} of {len(off)} timestamps lie off the grid of frequency {grid.frequency!r} in "
            f"{grid.time_zone}: {examples}. Set forecast.frequency and forecast.time_zone to the source's own."
        )
    if off.any():
        findings.append(Finding("timestamps off the grid", int(off.sum()), placed.names(off), "left out"))
    return placed.take(on_grid)


def without_infinities(placed: Rows, findings: list[Finding]) -> Rows:
    """Values that no float32 holds become 'not observed': infinite ones, and finite ones that are too large."""
    with np.errstate(over="ignore"):
        wild = np.isinf(placed.value.astype(np.float32))
    infinite = np.isinf(placed.value)
    for kind, found in (("infinite values", infinite), ("values too large for float32 (3.4e38)", wild & ~infinite)):
        if found.any():
            findings.append(Finding(kind, int(found.sum()), placed.names(found), "taken as not observed"))
    return replace(placed, value=np.where(wild, np.nan, placed.value))


def without_duplicates(placed: Rows, grid: TimeGrid, findings: list[Finding]) -> Rows:
    """Rows in order of series and time, equal ones once.

    Raises:
        InputError: where two rows of one series and timestamp hold different values.
    """
    # A missing value sorts last, so an observed one of the same key comes first and stays.
    order = np.lexsort((placed.value, placed.index, placed.series))
    placed = placed.take(order)
    again = np.zeros(len(order), bool)
    again[1:] = (placed.series[1:] == placed.series[:-1]) & (placed.index[1:] == placed.index[:-1])
    differs = np.zeros(len(order), bool)
    differs[1:] = again[1:] & (placed.value[1:] != placed.value[:-1]) & ~np.isnan(placed.value[1:])
    if differs.any():
        where = np.flatnonzero(differs)[:EXAMPLES]
        examples = [
            f"{placed.series_ids[placed.series[i]]} at {instant_of(grid, int(placed.index[i])):%Y-%m-%dT%H:%MZ}: "
            f"{placed.value[i - 1]:g} and {placed.value[i]:g}"
            for i in where
        ]
        raise InputError(
            f"{int(differs.sum())} (series, timestamp) pairs have two different values: {examples}. "
            f"Keep one row for each, or let source.query choose, e.g. by max() and GROUP BY.{_clock_hint(grid)}"
        )
    if again.any():
        findings.append(Finding("rows given twice", int(again.sum()), placed.names(again), "counted once"))
    return placed.take(~again)


def _clock_hint(grid: TimeGrid) -> str:
    """What to think of where the clocks go back and an hour without a zone comes twice."""
    if grid.time_zone == "UTC" or grid.steps_per_day <= 1:
        return ""
    return (
        f" Where the clocks of {grid.time_zone} go back, an hour without a zone comes twice: store timestamps with "
        "their zone, or set forecast.time_zone to UTC if that is what they are."
    )
