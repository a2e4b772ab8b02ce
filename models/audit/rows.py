"""Rows on the time grid, some thousands at a time, and what is computed of each row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pyarrow as pa

from models.arrays import BoolArray, DatetimeArray, Float32Array, FloatArray, IntArray, StringArray
from models.audit.findings import EXAMPLES, NOT_OBSERVED, Findings, abbreviate
from models.calendar.grid import TimeGrid

# Number of rows that are worked on at once: intermediate results are several times as large as the final ones.
PART = 1 << 18
INFINITE, TOO_LARGE = "infinite values", "values too large for float32 (3.4e38)"


@dataclass(frozen=True)
class Rows:
    """Rows on the grid: parallel arrays of shape (row,).

    Attributes:
        series_ids: Shape (series,).
        series: Indices into `series_ids`.
        index: Grid positions.
        value: NaN where not observed.
        row: Places in the table or batch that the rows come from.
    """

    series_ids: StringArray
    series: IntArray
    index: IntArray
    value: FloatArray
    row: IntArray

    def take(self, keep: BoolArray | IntArray) -> Rows:
        """Some of the rows."""
        if keep.dtype == bool and keep.all():
            return self
        return Rows(self.series_ids, self.series[keep], self.index[keep], self.value[keep], self.row[keep])

    def examples(self, keep: BoolArray) -> tuple[str, ...]:
        """Ids of the first few series that have one of the chosen rows."""
        return tuple(abbreviate(name) for name in self.series_ids[pd.unique(self.series[keep])[:EXAMPLES]])


class Tally:
    """Counts rows batch by batch, and keeps the first series that have such rows.

    >>> tally = Tally()
    >>> tally.add(np.array([4, 2, 4]), np.array([True, False, True]))
    >>> tally.count, tally.series
    (2, [4])
    """

    def __init__(self) -> None:
        self.count = 0
        self.series: list[int] = []

    def add(self, series: IntArray, counted: BoolArray) -> None:
        """Count the rows that `counted` marks; both of shape (row,)."""
        if counted.any():
            self.count += int(np.count_nonzero(counted))
            if len(self.series) < EXAMPLES:
                known = dict.fromkeys([*self.series, *pd.unique(series[counted]).tolist()])
                self.series = list(known)[:EXAMPLES]

    def examples(self, series_ids: StringArray) -> tuple[str, ...]:
        """Ids of the series that were kept."""
        return tuple(abbreviate(series_ids[each]) for each in self.series)


def moments_of(times: pa.Array | pa.ChunkedArray) -> DatetimeArray:
    """Timestamps in microseconds, shape (row,): UTC where they have a zone, else local time."""
    moments = times.cast(pa.timestamp("us", times.type.tz)).to_numpy(zero_copy_only=False)
    return np.asarray(moments.astype("datetime64[us]", copy=False))


def finite(numbers: pa.Array | pa.ChunkedArray, row: IntArray) -> Float32Array:
    """A column of numbers at some rows, shape (row,); NaN for nulls and for what float32 cannot hold."""
    with np.errstate(over="ignore"):
        small = numbers.cast(pa.float64()).to_numpy(zero_copy_only=False)[row].astype(np.float32)
    return np.where(np.isfinite(small), small, np.float32(np.nan))


def positions(
    moments: DatetimeArray, again: BoolArray | None, grid: TimeGrid, in_utc: bool
) -> tuple[IntArray, BoolArray]:
    """As `TimeGrid.containing`, part by part."""
    found = []
    for begin in range(0, max(len(moments), 1), PART):
        part = moments[begin : begin + PART]
        second = None if again is None else again[begin : begin + PART]
        found.append(grid.containing(pd.DatetimeIndex(part, tz="UTC") if in_utc else part, second))
    if len(found) == 1:
        return found[0]
    return np.concatenate([index for index, _ in found]), np.concatenate([on_grid for _, on_grid in found])


def non_finite(values: FloatArray) -> tuple[BoolArray, BoolArray]:
    """Which values are infinite, and which finite ones float32 cannot hold; shape (row,) each."""
    with np.errstate(over="ignore"):
        beyond = np.isinf(values.astype(np.float32))
    infinite = np.isinf(values)
    return infinite, beyond & ~infinite


def concatenate(parts: Sequence[Rows]) -> Rows:
    """Rows of several batches, at least one, as one; `row` then numbers all of them."""
    series, index, value = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ("series", "index", "value")
    )
    return Rows(parts[0].series_ids, series, index, value, np.arange(len(series)))


def without_infinities(placed: Rows, findings: Findings) -> Rows:
    """The rows without values that float32 cannot hold, infinite or too large: these are not observed."""
    infinite, large = non_finite(placed.value)
    for kind, bad in ((INFINITE, infinite), (TOO_LARGE, large)):
        if bad.any():
            findings.add(kind, int(bad.sum()), placed.examples(bad), NOT_OBSERVED, "audit.infinite")
    bad = infinite | large
    return replace(placed, value=np.where(bad, np.nan, placed.value)) if bad.any() else placed
