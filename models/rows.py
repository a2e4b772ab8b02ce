"""Rows of the source on the time grid: in order, each place once, and what had to be left out."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from models.errors import InputError
from models.findings import EXAMPLES, NOT_OBSERVED, Finding, finding, shown
from models.repeated_hours import second_pass
from models.settings import AuditSettings
from models.time_grid import TimeGrid

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
# Rows that are worked on at once where that takes more memory than the result.
PART = 1 << 20
LARGEST_INT = int(np.iinfo(np.int32).max)


@dataclass(frozen=True)
class Rows:
    """Rows on the grid: parallel arrays of shape (row,).

    There are many of them, so whole numbers take four bytes each where they fit.

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
        if keep.dtype == bool and keep.all():
            return self
        return Rows(self.series_ids, self.series[keep], self.index[keep], self.value[keep], self.row[keep])

    def names(self, keep: BoolArray) -> tuple[str, ...]:
        """Ids of the series of the first kept rows."""
        return tuple(shown(name) for name in self.series_ids[pd.unique(self.series[keep])[:EXAMPLES]])


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
            examples = tuple(shown(name) for name in series_ids[pd.unique(series[found])[:EXAMPLES]])
            findings.append(Finding(kind, int(found.sum()), examples, action))
    return again


def place_on_grid(rows: pa.Table, grid: TimeGrid, findings: list[Finding], audit: AuditSettings | None = None) -> Rows:
    """Rows with their grid positions; those off the grid are treated as the audit's policy says.

    Raises:
        InputError: where the policy is left out and most rows lie off the grid, or two ids differ in nothing
            but NUL characters at their end.
    """
    ids = rows["series_id"].combine_chunks()
    if not pa.types.is_dictionary(ids.type):
        ids = pc.dictionary_encode(ids)
    if isinstance(ids, pa.ChunkedArray):
        ids = ids.unify_dictionaries().chunk(0)
    names = np.asarray(ids.dictionary.to_pylist(), dtype=str)
    _tell_apart(names)
    order = np.argsort(names, kind="stable")
    rank = np.empty(len(order), np.int32)
    rank[order] = np.arange(len(order))
    series = rank[ids.indices.to_numpy(zero_copy_only=False)]
    times = rows["timestamp"]
    moments = moments_of(times)
    again = None if times.type.tz else _second_time(moments, series, names[order], grid, findings)
    index, on_grid = positions(moments, again, grid, in_utc=bool(times.type.tz))
    # A null becomes NaN.
    value = rows["value"].cast(pa.float64()).to_numpy()
    row = np.arange(rows.num_rows, dtype=np.int32 if rows.num_rows <= LARGEST_INT else np.int64)
    placed = Rows(names[order], series, index, value, row)
    return _off_grid(placed, ~on_grid, moments, grid, findings, (audit or AuditSettings()).off_grid)


def _off_grid(
    placed: Rows,
    off: BoolArray,
    moments: npt.NDArray[np.datetime64],
    grid: TimeGrid,
    findings: list[Finding],
    policy: str | None,
) -> Rows:
    if not off.any():
        return placed
    if policy is None and 2 * off.sum() > len(off):
        examples = [str(moment) for moment in moments[off][:EXAMPLES]]
        raise InputError(
            f"{int(off.sum())} of {len(off)} timestamps lie off the grid of frequency {grid.frequency!r} in "
            f"{grid.time_zone}: {examples}. Set forecast.frequency and forecast.time_zone to the source's own, or "
            "audit.off_grid to floor or leave_out."
        )
    where = np.flatnonzero(off)[:EXAMPLES]
    examples = [f"{shown(placed.series_ids[placed.series[i]])} at {moments[i]}" for i in where]
    action = "moved back to the step that they fall into" if policy == "floor" else "left out"
    findings.append(finding("timestamps off the grid", int(off.sum()), examples, action, "off_grid", policy))
    return placed if policy == "floor" else placed.take(~off)


def moments_of(times: pa.ChunkedArray) -> npt.NDArray[np.datetime64]:
    """Timestamps in microseconds: instants of UTC where they have a zone, else what a clock showed; shape (row,)."""
    moments = times.cast(pa.timestamp("us", times.type.tz)).to_numpy()
    return np.asarray(moments.astype("datetime64[us]", copy=False))


def finite(numbers: pa.ChunkedArray, row: IntArray) -> npt.NDArray[np.float32]:
    """A column of numbers at some rows, shape (row,); NaN for nulls and for what no float32 holds."""
    with np.errstate(over="ignore"):
        small = numbers.cast(pa.float64()).to_numpy()[row].astype(np.float32)
    return np.where(np.isfinite(small), small, np.float32(np.nan))


def positions(
    moments: npt.NDArray[np.datetime64], again: BoolArray | None, grid: TimeGrid, in_utc: bool
) -> tuple[IntArray, BoolArray]:
    """As `TimeGrid.to_index`, part by part: what it computes on the way is several times as large as its result."""
    found = []
    for begin in range(0, max(len(moments), 1), PART):
        part = moments[begin : begin + PART]
        second = None if again is None else again[begin : begin + PART]
        found.append(grid.to_index(pd.DatetimeIndex(part, tz="UTC") if in_utc else part, second))
    return np.concatenate([_small(index) for index, _ in found]), np.concatenate([on_grid for _, on_grid in found])


def _small(numbers: IntArray) -> IntArray:
    """The same whole numbers in four bytes each, where they fit."""
    fits = not len(numbers) or (abs(int(numbers.min())) <= LARGEST_INT and abs(int(numbers.max())) <= LARGEST_INT)
    return numbers.astype(np.int32) if fits else numbers


def _tell_apart(names: npt.NDArray[np.str_]) -> None:
    """NumPy's strings end at their last character that is not NUL; ids must differ before it."""
    unique, times = np.unique(names, return_counts=True)
    if len(unique) < len(names):
        same = [shown(name) for name in unique[times > 1][:EXAMPLES]]
        raise InputError(
            f"{int((times > 1).sum())} series ids differ from another one by NUL characters at the end only: {same}. "
            "Take these off in the source, or in a query."
        )


def without_text(placed: Rows, rows: pa.Table, findings: list[Finding], policy: str) -> None:
    """Say where the source has text instead of a number, which the reader leaves unobserved.

    `rows` then has a column `value_text`, null where there is none.
    """
    if "value_text" not in rows.column_names:
        return
    texts = rows["value_text"].take(pa.array(placed.row))
    found = pc.is_valid(texts).to_numpy()
    if found.any():
        where = np.flatnonzero(found)[:EXAMPLES]
        examples = [f"{shown(texts[i].as_py())!r} in {shown(placed.series_ids[placed.series[i]])}" for i in where]
        findings.append(
            finding("texts that are no number", int(found.sum()), examples, NOT_OBSERVED, "non_numeric", policy)
        )


def without_infinities(placed: Rows, findings: list[Finding], policy: str = "missing") -> Rows:
    """Values that no float32 holds become 'not observed': infinite ones, and finite ones that are too large."""
    with np.errstate(over="ignore"):
        wild = np.isinf(placed.value.astype(np.float32))
    infinite = np.isinf(placed.value)
    for kind, found in (("infinite values", infinite), ("values too large for float32 (3.4e38)", wild & ~infinite)):
        if found.any():
            findings.append(finding(kind, int(found.sum()), placed.names(found), NOT_OBSERVED, "infinite", policy))
    return replace(placed, value=np.where(wild, np.nan, placed.value)) if wild.any() else placed
