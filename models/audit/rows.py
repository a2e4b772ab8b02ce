"""Rows of the source on the time grid, in full detail: some thousands of them at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pyarrow as pa

from models.arrays import BoolArray, DatetimeArray, Float32Array, FloatArray, IntArray, StringArray
from models.audit.findings import EXAMPLES, NOT_OBSERVED, Finding, finding, shown
from models.calendar.grid import TimeGrid

# Rows that are worked on at once: what is computed on the way is several times as large as its result.
PART = 1 << 18
INFINITE, TOO_LARGE = "infinite values", "values too large for float32 (3.4e38)"


@dataclass(frozen=True)
class Rows:
    """Rows on the grid: parallel arrays of shape (row,).

    Attributes:
        series: Row numbers into `series_ids`.
        index: Grid positions.
        value: float64, NaN where not observed.
        row: Places in the table or batch that they come from.
    """

    series_ids: StringArray
    series: IntArray
    index: IntArray
    value: FloatArray
    row: IntArray

    def take(self, keep: BoolArray | IntArray) -> Rows:
        if keep.dtype == bool and keep.all():
            return self
        return Rows(self.series_ids, self.series[keep], self.index[keep], self.value[keep], self.row[keep])

    def names(self, keep: BoolArray) -> tuple[str, ...]:
        """Ids of the series of the first kept rows."""
        return tuple(shown(name) for name in self.series_ids[pd.unique(self.series[keep])[:EXAMPLES]])


class Tally:
    """Odd rows, counted batch by batch, and the first series that have such.

    >>> tally = Tally()
    >>> tally.add(np.array([4, 2, 4]), np.array([True, False, True]))
    >>> tally.count, tally.series
    (2, [4])
    """

    def __init__(self) -> None:
        self.count = 0
        self.series: list[int] = []

    def add(self, series: IntArray, odd: BoolArray) -> None:
        """Count some rows; both of shape (row,)."""
        if odd.any():
            self.count += int(np.count_nonzero(odd))
            if len(self.series) < EXAMPLES:
                known = dict.fromkeys([*self.series, *pd.unique(series[odd]).tolist()])
                self.series = list(known)[:EXAMPLES]

    def names(self, series_ids: StringArray) -> tuple[str, ...]:
        """Ids of the series."""
        return tuple(shown(series_ids[each]) for each in self.series)


def moments_of(times: pa.Array | pa.ChunkedArray) -> DatetimeArray:
    """Timestamps in microseconds: instants of UTC where they have a zone, else what a clock showed; shape (row,)."""
    moments = times.cast(pa.timestamp("us", times.type.tz)).to_numpy(zero_copy_only=False)
    return np.asarray(moments.astype("datetime64[us]", copy=False))


def finite(numbers: pa.Array | pa.ChunkedArray, row: IntArray) -> Float32Array:
    """A column of numbers at some rows, shape (row,); NaN for nulls and for what no float32 holds."""
    with np.errstate(over="ignore"):
        small = numbers.cast(pa.float64()).to_numpy(zero_copy_only=False)[row].astype(np.float32)
    return np.where(np.isfinite(small), small, np.float32(np.nan))


def positions(
    moments: DatetimeArray, again: BoolArray | None, grid: TimeGrid, in_utc: bool
) -> tuple[IntArray, BoolArray]:
    """As `TimeGrid.to_index`, part by part."""
    found = []
    for begin in range(0, max(len(moments), 1), PART):
        part = moments[begin : begin + PART]
        second = None if again is None else again[begin : begin + PART]
        found.append(grid.to_index(pd.DatetimeIndex(part, tz="UTC") if in_utc else part, second))
    if len(found) == 1:
        return found[0]
    return np.concatenate([index for index, _ in found]), np.concatenate([on_grid for _, on_grid in found])


def wild(values: FloatArray) -> tuple[BoolArray, BoolArray]:
    """Values that are infinite, and finite ones that no float32 holds; shape (row,) each."""
    with np.errstate(over="ignore"):
        beyond = np.isinf(values.astype(np.float32))
    infinite = np.isinf(values)
    return infinite, beyond & ~infinite


def together(parts: Sequence[Rows]) -> Rows:
    """Rows of several batches as one, whose `row` counts all of them; at least one part."""
    series, index, value = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ("series", "index", "value")
    )
    return Rows(parts[0].series_ids, series, index, value, np.arange(len(series)))


def without_infinities(placed: Rows, findings: list[Finding], policy: str = "missing") -> Rows:
    """Values that no float32 holds become 'not observed': infinite ones, and finite ones that are too large."""
    infinite, large = wild(placed.value)
    for kind, found in ((INFINITE, infinite), (TOO_LARGE, large)):
        if found.any():
            findings.append(finding(kind, int(found.sum()), placed.names(found), NOT_OBSERVED, "infinite", policy))
    bad = infinite | large
    return replace(placed, value=np.where(bad, np.nan, placed.value)) if bad.any() else placed
