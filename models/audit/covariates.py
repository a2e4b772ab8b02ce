"""What rows say beside their values, laid on a panel: covariates by step, categories and numbers by series."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from models.arrays import AnyArray, BoolArray, Float32Array, IntArray, StringArray
from models.audit.findings import EXAMPLES, Finding, shown
from models.audit.known_future import spread_known
from models.audit.placement import CountedRows
from models.audit.rows import Rows, finite
from models.panel.panel import Panel
from models.panel.positions import NEVER

Encode = Callable[[pa.Array | pa.ChunkedArray], tuple[AnyArray, BoolArray]]


def known_ahead(
    counted: CountedRows,
    place: IntArray,
    panel: Panel,
    names: Sequence[str],
    elsewhere: Sequence[pa.Table],
    findings: list[Finding],
) -> tuple[Float32Array | None, tuple[str, ...]]:
    """Known-future columns of the rows themselves and of other tables, side by side, and their names."""
    parts = [] if not names else [(spread(counted, place, panel, names, panel.horizon), tuple(names))]
    parts += [spread_known(table, panel, findings) for table in elsewhere]
    if not parts:
        return None, ()
    together = np.concatenate([part for part, _ in parts], axis=1) if len(parts) > 1 else parts[0][0]
    return together, tuple(name for _, names in parts for name in names)


def spread(counted: CountedRows, place: IntArray, panel: Panel, names: Sequence[str], tail: int) -> Float32Array:
    """Covariates at the places of the values and `tail` steps on, shape (total + series * tail, column).

    Args:
        counted: The rows that count.
        place: Shape (series,), the flat place of grid position 0 among the values.
        panel: The panel.
        names: The columns.
        tail: Steps after the cutoff that each series has in the result.
    """
    values = np.full((int(panel.offsets[-1]) + len(panel) * tail, len(names)), np.nan, np.float32)
    ahead = tail * np.arange(len(panel))
    for placed, columns in counted.parts(names):
        flat = (place + ahead)[placed.series] + placed.index
        inside = (flat >= (panel.offsets[:-1] + ahead)[placed.series]) & (placed.index <= panel.cutoff_index + tail)
        for column, name in enumerate(names):
            values[flat[inside], column] = finite(columns[name], placed.row[inside])
    return values


class _Newest:
    """Of each series the newest known value of one column.

    Args:
        name: The column.
        series: Number of series.
        encode: Gives numbers for a batch of the column, and which of them are known.
        nothing: What a series gets that has none.
    """

    def __init__(self, name: str, series: int, encode: Encode, nothing: Any) -> None:
        self.name, self.encode = name, encode
        self.value = np.full(series, nothing)
        self._index = np.full(series, NEVER)
        self.changed = False

    def add(self, placed: Rows, columns: pa.RecordBatch | pa.Table) -> None:
        """Take some rows into account."""
        series, index, value = self._known(placed, columns)
        self.changed |= bool(((self._index[series] > NEVER) & (self.value[series] != value)).any())
        np.maximum.at(self._index, series, index)
        newest = index == self._index[series]
        self.value[series[newest]] = value[newest]
        self.changed |= bool((self.value[series] != value).any())

    def older(self, placed: Rows, columns: pa.RecordBatch | pa.Table) -> IntArray:
        """The series of the rows that say something else than the newest one."""
        series, _, value = self._known(placed, columns)
        return np.asarray(series[self.value[series] != value])

    def _known(self, placed: Rows, columns: pa.RecordBatch | pa.Table) -> tuple[IntArray, IntArray, AnyArray]:
        value, known = (each[placed.row] for each in self.encode(columns[self.name]))
        return placed.series[known], placed.index[known], value[known]


def static_of(
    counted: CountedRows, categories: Sequence[str], numbers: Sequence[str], findings: list[Finding]
) -> tuple[dict[str, StringArray], Float32Array | None]:
    """One category and number per series and column: the newest that its rows hold.

    Returns:
        The categories by column, "" where a series has none; and the numbers, shape (series, column), NaN where it
        has none, or None without such columns.
    """
    if not (categories or numbers):
        return {}, None
    count, known = len(counted.series_ids), [_Categories() for _ in categories]
    columns = [_Newest(name, count, each.encode, -1) for name, each in zip(categories, known, strict=True)]
    columns += [_Newest(name, count, _numbers, np.float32(np.nan)) for name in numbers]
    for part in counted.parts([*categories, *numbers]):
        for column in columns:
            column.add(*part)
    _tell_of_older(counted, columns, findings)
    words = {each.name: texts.words(each.value) for each, texts in zip(columns, known, strict=False)}
    figures = [each.value for each in columns[len(categories) :]]
    return words, np.stack(figures, axis=1) if figures else None


def _tell_of_older(counted: CountedRows, columns: Sequence[_Newest], findings: list[Finding]) -> None:
    columns = [column for column in columns if column.changed]
    if not columns:
        return
    times = np.zeros((len(columns), len(counted.series_ids)), np.int64)
    for part in counted.parts([column.name for column in columns]):
        for i, column in enumerate(columns):
            times[i] += np.bincount(column.older(*part), minlength=times.shape[1])
    for column, of_series in zip(columns, times, strict=True):
        examples = tuple(shown(counted.series_ids[each]) for each in np.flatnonzero(of_series)[:EXAMPLES])
        findings.append(
            Finding(f"rows with an older {column.name}", int(of_series.sum()), examples, "the newest counts")
        )


class _Categories:
    """The categories met so far, each with a number."""

    def __init__(self) -> None:
        self._texts = pa.array([], pa.string())

    def encode(self, column: pa.Array | pa.ChunkedArray) -> tuple[IntArray, BoolArray]:
        texts = column.cast(pa.string())
        unknown = pc.unique(texts).drop_null()
        unknown = unknown.filter(pc.invert(pc.is_in(unknown, value_set=self._texts)))
        self._texts = pa.concat_arrays([self._texts, unknown])
        numbers = pc.fill_null(pc.index_in(texts, value_set=self._texts), -1).to_numpy(zero_copy_only=False)
        numbers = np.asarray(numbers, np.int64)
        return numbers, numbers >= 0

    def words(self, numbers: IntArray) -> StringArray:
        """The categories of numbers; "" for -1."""
        return np.asarray([*self._texts.to_pylist(), ""], dtype=str)[numbers]


def _numbers(column: pa.Array | pa.ChunkedArray) -> tuple[Float32Array, BoolArray]:
    numbers = finite(column, np.arange(len(column)))
    return numbers, ~np.isnan(numbers)
