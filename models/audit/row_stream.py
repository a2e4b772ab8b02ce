"""Rows of a source batch by batch, each with its place on the time grid; they can be read several times."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from models.arrays import BoolArray, DatetimeArray, FloatArray, IntArray, StringArray
from models.audit.findings import EXAMPLES, abbreviate
from models.audit.rows import PART, Rows, moments_of, non_finite, positions
from models.calendar.grid import TimeGrid
from models.calendar.repeated_hours import near_repeats, second_pass
from models.errors import InputError

KEY = ("series_id", "timestamp", "value")


class RowBatches(Protocol):
    """Rows that can be read any number of times, and are never all in memory."""

    @property
    def num_rows(self) -> int:
        """Number of rows."""

    @property
    def column_names(self) -> list[str]:
        """`series_id`, `timestamp`, `value` and the covariates."""

    def batches(self, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Some columns of all rows, in order; in every batch `series_id` has the same dictionary."""


class TableBatches:
    """A table as `RowBatches`."""

    def __init__(self, table: pa.Table) -> None:
        ids = table["series_id"]
        ids = ids.unify_dictionaries() if pa.types.is_dictionary(ids.type) else pc.dictionary_encode(ids)
        self.table = table.set_column(table.column_names.index("series_id"), "series_id", ids)
        self.num_rows: int = table.num_rows
        self.column_names: list[str] = table.column_names

    def batches(self, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """As `RowBatches.batches`."""
        yield from self.table.select(list(names)).to_batches(max_chunksize=PART)


class Batch(NamedTuple):
    """Rows of one batch, all arrays of shape (row,).

    Attributes:
        series: Indices into the series ids.
        moments: As `moments_of`; NaT lies outside the calendar.
        position: Grid positions.
        on_grid: Whether the timestamp is exactly that of its grid position.
        value: NaN where not observed.
        columns: The batch, with its covariates.
    """

    series: IntArray
    moments: DatetimeArray
    position: IntArray
    on_grid: BoolArray
    value: FloatArray
    columns: pa.RecordBatch


class SecondHours(NamedTuple):
    """The rows of the second pass of a local hour that the clocks showed twice.

    Attributes:
        row: Shape (such row,), row numbers in the source, ascending.
        in_doubt: Shape (such row,), as of `second_pass`.
        series: Shape (such row,).
    """

    row: IntArray
    in_doubt: BoolArray
    series: IntArray


class PlacedRows:
    """All rows of a source on a time grid.

    Attributes:
        series_ids: Sorted ids of all series, also of those without a row on the grid and of those in `known`.
        grid: The grid.
        second_hours: Rows of hours that the clocks showed twice.

    Args:
        rows: The rows.
        grid: The grid.
        off_grid: Policy for timestamps between two steps, see `AuditSettings`.
        known: Ids of series that are known without their rows.

    Raises:
        InputError: where two ids differ only by NUL characters at their end.
    """

    def __init__(
        self, rows: RowBatches, grid: TimeGrid, off_grid: str | None, known: StringArray | None = None
    ) -> None:
        self.source, self.grid, self._off_grid = rows, grid, off_grid
        first = next(iter(rows.batches(KEY)))
        names = np.asarray(first["series_id"].dictionary.to_pylist(), dtype=str)
        _refuse_equal(names)
        if known is not None:
            names = np.concatenate([names, known[~np.isin(known, names)]])
        order = np.argsort(names, kind="stable")
        self.series_ids = names[order]
        self._rank = np.empty(len(order), np.int64)
        self._rank[order] = np.arange(len(order))
        self._in_utc = bool(first["timestamp"].type.tz)
        self.second_hours = self._second_hours()

    def read(self, names: Sequence[str] = ()) -> Iterator[Batch]:
        """All rows, on the grid or not, with the named columns beside the key."""
        begin = 0
        for columns in self.source.batches([*KEY, *names]):
            end = begin + columns.num_rows
            moments = moments_of(columns["timestamp"])
            position, on_grid = positions(moments, self._second_between(begin, end), self.grid, self._in_utc)
            # A null becomes NaN.
            value = columns["value"].cast(pa.float64()).to_numpy(zero_copy_only=False)
            yield Batch(self._series(columns), moments, position, on_grid, value, columns)
            begin = end

    def kept(self, batch: Batch) -> Rows:
        """The rows of a batch that count, with values that float32 can hold; `row` is their place in the batch."""
        infinite, large = non_finite(batch.value)
        value = np.where(infinite | large, np.nan, batch.value) if infinite.any() or large.any() else batch.value
        placed = Rows(self.series_ids, batch.series, batch.position, value, np.arange(len(value)))
        return placed.take(~np.isnat(batch.moments) if self._off_grid == "floor" else batch.on_grid)

    def _series(self, columns: pa.RecordBatch) -> IntArray:
        return np.asarray(self._rank[columns["series_id"].indices.to_numpy(zero_copy_only=False)])

    def _second_between(self, begin: int, end: int) -> BoolArray | None:
        """Which rows from `begin` to `end` are of a second pass, shape (end - begin,); None where none is."""
        rows = self.second_hours.row
        first, last = np.searchsorted(rows, [begin, end])
        if first == last:
            return None
        second = np.zeros(end - begin, bool)
        second[rows[first:last] - begin] = True
        return second

    def _second_hours(self) -> SecondHours:
        """Find the rows of second passes; only rows near such an hour are held in memory."""
        row, clock, series, begin = [np.zeros(0, np.int64)], [np.zeros(0, "M8[us]")], [np.zeros(0, np.int64)], 0
        if not self._in_utc and len(self.grid.repeated[0]):
            for columns in self.source.batches(KEY[:2]):
                moments = moments_of(columns["timestamp"])
                near = np.flatnonzero(near_repeats(moments, self.grid))
                row.append(near + begin)
                clock.append(moments[near])
                series.append(self._series(columns)[near])
                begin += columns.num_rows
        rows, owner = np.concatenate(row), np.concatenate(series)
        second, in_doubt = second_pass(np.concatenate(clock), owner, self.grid)
        return SecondHours(rows[second], in_doubt[second], owner[second])


def _refuse_equal(names: StringArray) -> None:
    """Raise where ids are equal as NumPy strings, which do not keep NUL characters at their end."""
    unique, times = np.unique(names, return_counts=True)
    if len(unique) < len(names):
        same = [abbreviate(name) for name in unique[times > 1][:EXAMPLES]]
        raise InputError(
            f"{int((times > 1).sum())} series ids differ from another id only by NUL characters at the end: {same}. "
            "Remove these characters in the source, or in a query."
        )
