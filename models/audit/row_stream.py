"""Rows of a source, batch by batch and as often as they are asked for, each with its place on the time grid."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from models.arrays import BoolArray, DatetimeArray, FloatArray, IntArray, StringArray
from models.audit.findings import EXAMPLES, shown
from models.audit.rows import PART, Rows, moments_of, positions, wild
from models.calendar.grid import TimeGrid
from models.calendar.repeated_hours import near_repeats, second_pass
from models.errors import InputError

KEY = ("series_id", "timestamp", "value")


class RowBatches(Protocol):
    """Rows that can be gone through as often as one likes, without all of them ever being in memory."""

    @property
    def num_rows(self) -> int:
        """Number of rows."""

    @property
    def column_names(self) -> list[str]:
        """`series_id`, `timestamp`, `value` and the covariates."""

    def batches(self, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Some columns of all rows, in their order; `series_id` has the codes of one dictionary for all of them."""


class TableBatches:
    """A table as `RowBatches`."""

    def __init__(self, table: pa.Table) -> None:
        ids = table["series_id"]
        ids = ids.unify_dictionaries() if pa.types.is_dictionary(ids.type) else pc.dictionary_encode(ids)
        self.table = table.set_column(table.column_names.index("series_id"), "series_id", ids)
        self.num_rows: int = table.num_rows
        self.column_names: list[str] = table.column_names

    def batches(self, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
        yield from self.table.select(list(names)).to_batches(max_chunksize=PART)


class Batch(NamedTuple):
    """Rows of one batch, all of shape (row,).

    Attributes:
        series: Row numbers into the ids.
        moments: As `moments_of`.
        position: On the grid.
        on_grid: Whether the timestamp is that of the position itself.
        value: float64, NaN where not observed.
        columns: The batch with its covariates.
    """

    series: IntArray
    moments: DatetimeArray
    position: IntArray
    on_grid: BoolArray
    value: FloatArray
    columns: pa.RecordBatch


class PlacedRows:
    """All rows of a source on a time grid.

    Attributes:
        series_ids: Sorted; series without a row on the grid too, and those that are known from elsewhere.
        grid: The grid.
        again: Numbers of the rows that belong to the second time that the clocks showed an hour, ascending.
        in_doubt: Shape of `again`, see `second_pass`.

    Raises:
        InputError: where two ids differ in nothing but NUL characters at their end.
    """

    def __init__(
        self, rows: RowBatches, grid: TimeGrid, off_grid: str | None, known: StringArray | None = None
    ) -> None:
        self.source, self.grid, self._off_grid = rows, grid, off_grid
        first = next(iter(rows.batches(KEY)))
        names = np.asarray(first["series_id"].dictionary.to_pylist(), dtype=str)
        _tell_apart(names)
        if known is not None:
            names = np.concatenate([names, known[~np.isin(known, names)]])
        order = np.argsort(names, kind="stable")
        self.series_ids = names[order]
        self._rank = np.empty(len(order), np.int64)
        self._rank[order] = np.arange(len(order))
        self._in_utc = bool(first["timestamp"].type.tz)
        self.again, self.in_doubt, self.again_series = self._second_time()

    def read(self, names: Sequence[str] = ()) -> Iterator[Batch]:
        """All rows, on the grid or not, with some more columns."""
        begin = 0
        for columns in self.source.batches([*KEY, *names]):
            end = begin + columns.num_rows
            moments = moments_of(columns["timestamp"])
            position, on_grid = positions(moments, self._again_between(begin, end), self.grid, self._in_utc)
            # A null becomes NaN.
            value = columns["value"].cast(pa.float64()).to_numpy(zero_copy_only=False)
            yield Batch(self._series(columns), moments, position, on_grid, value, columns)
            begin = end

    def kept(self, batch: Batch) -> Rows:
        """The rows of a batch that count, in numbers that float32 holds; their `row` is their place in the batch."""
        infinite, large = wild(batch.value)
        value = np.where(infinite | large, np.nan, batch.value) if infinite.any() or large.any() else batch.value
        placed = Rows(self.series_ids, batch.series, batch.position, value, np.arange(len(value)))
        return placed if self._off_grid == "floor" else placed.take(batch.on_grid)

    def _series(self, columns: pa.RecordBatch) -> IntArray:
        return np.asarray(self._rank[columns["series_id"].indices.to_numpy(zero_copy_only=False)])

    def _again_between(self, begin: int, end: int) -> BoolArray | None:
        first, last = np.searchsorted(self.again, [begin, end])
        if first == last:
            return None
        again = np.zeros(end - begin, bool)
        again[self.again[first:last] - begin] = True
        return again

    def _second_time(self) -> tuple[IntArray, BoolArray, IntArray]:
        """`again`, `in_doubt`, and the series of those rows; only rows around such an hour are kept for it."""
        row, clock, series, begin = [np.zeros(0, np.int64)], [np.zeros(0, "M8[us]")], [np.zeros(0, np.int64)], 0
        if not self._in_utc and len(self.grid.repeated[0]):
            for columns in self.source.batches(KEY[:2]):
                moments = moments_of(columns["timestamp"])
                near = np.flatnonzero(near_repeats(moments, self.grid))
                row.append(near + begin)
                clock.append(moments[near])
                series.append(self._series(columns)[near])
                begin += columns.num_rows
        rows, of = np.concatenate(row), np.concatenate(series)
        again, in_doubt = second_pass(np.concatenate(clock), of, self.grid)
        return rows[again], in_doubt[again], of[again]


def _tell_apart(names: StringArray) -> None:
    """NumPy's strings end at their last character that is not NUL; ids must differ before it."""
    unique, times = np.unique(names, return_counts=True)
    if len(unique) < len(names):
        same = [shown(name) for name in unique[times > 1][:EXAMPLES]]
        raise InputError(
            f"{int((times > 1).sum())} series ids differ from another one by NUL characters at the end only: {same}. "
            "Take these off in the source, or in a query."
        )
