"""The covariates of rows on a panel: by step, and one category or number for each series."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from models.arrays import AnyArray, BoolArray, Float32Array, IntArray, StringArray
from models.audit.findings import CHANGED, EXAMPLES, KEPT_CHANGED, Findings, abbreviate
from models.audit.known_future import report_empty, spread_known
from models.audit.placement import CountedRows
from models.audit.rows import Rows, finite
from models.panel.panel import Panel
from models.panel.positions import NEVER

Encode = Callable[[pa.Array | pa.ChunkedArray], tuple[AnyArray, BoolArray]]


@dataclass(frozen=True)
class Covariates:
    """Which columns of the rows are covariates, and tables that hold further ones.

    Attributes:
        static: Columns with one category for each series.
        static_numbers: Columns with one number for each series.
        known_future: Number columns that are known up to `horizon` steps after the cutoff.
        observed_past: Number columns that are known up to the cutoff.
        known_future_tables: Tables with further known-future columns, see `spread_known`.
    """

    static: Sequence[str] = ()
    static_numbers: Sequence[str] = ()
    known_future: Sequence[str] = ()
    observed_past: Sequence[str] = ()
    known_future_tables: Sequence[pa.Table] = ()

    @property
    def columns(self) -> list[str]:
        """The columns of the rows that are covariates."""
        return [*self.static, *self.static_numbers, *self.known_future, *self.observed_past]


def known_future_of(
    counted: CountedRows, origin: IntArray, panel: Panel, covariates: Covariates, findings: Findings
) -> tuple[Float32Array | None, tuple[str, ...]]:
    """Known-future columns of the rows and of other tables side by side, and their names.

    Args:
        counted: The rows that count.
        origin: As of `LaidOut`.
        panel: The panel.
        covariates: The columns and tables.
        findings: Problems are added here.

    Returns:
        Shape (total + series * horizon, column), None where there is no such column; and the columns' names.
    """
    parts = []
    if names := covariates.known_future:
        parts.append((spread(counted, origin, panel, names, panel.horizon), tuple(names)))
    parts += [spread_known(table, panel, findings) for table in covariates.known_future_tables]
    if not parts:
        return None, ()
    values = np.concatenate([part for part, _ in parts], axis=1) if len(parts) > 1 else parts[0][0]
    return values, tuple(name for _, names in parts for name in names)


def spread(
    counted: CountedRows, origin: IntArray, panel: Panel, names: Sequence[str], steps_ahead: int
) -> Float32Array:
    """Covariates of each step of the panel and `steps_ahead` further ones.

    Args:
        counted: The rows that count.
        origin: As of `LaidOut`.
        panel: The panel.
        names: The columns.
        steps_ahead: Number of steps after the cutoff that each series has in the result.

    Returns:
        Shape (total + series * steps_ahead, column); NaN where unknown.
    """
    values = np.full((int(panel.offsets[-1]) + len(panel) * steps_ahead, len(names)), np.nan, np.float32)
    ahead = steps_ahead * np.arange(len(panel))
    for placed, columns in counted.parts(names):
        flat = (origin + ahead)[placed.series] + placed.index
        inside = flat >= (panel.offsets[:-1] + ahead)[placed.series]
        inside &= placed.index <= panel.cutoff_index + steps_ahead
        for column, name in enumerate(names):
            values[flat[inside], column] = finite(columns[name], placed.row[inside])
    return values


class _Newest:
    """The newest known value of one column for each series.

    Args:
        name: The column.
        series: Number of series.
        encode: Gives numbers for a batch of the column, and which of them are known.
        unknown: The value of a series without a known one.
    """

    def __init__(self, name: str, series: int, encode: Encode, unknown: Any) -> None:
        self.name, self.encode = name, encode
        self.value = np.full(series, unknown)
        self._index = np.full(series, NEVER)
        self.changed = False

    def add(self, placed: Rows, columns: pa.RecordBatch | pa.Table) -> None:
        """Add some rows."""
        series, index, value = self._known(placed, columns)
        self.changed |= bool(((self._index[series] > NEVER) & (self.value[series] != value)).any())
        np.maximum.at(self._index, series, index)
        newest = index == self._index[series]
        self.value[series[newest]] = value[newest]
        self.changed |= bool((self.value[series] != value).any())

    def outdated(self, placed: Rows, columns: pa.RecordBatch | pa.Table) -> IntArray:
        """The series of those rows whose value is not the newest one."""
        series, _, value = self._known(placed, columns)
        return np.asarray(series[self.value[series] != value])

    def _known(self, placed: Rows, columns: pa.RecordBatch | pa.Table) -> tuple[IntArray, IntArray, AnyArray]:
        value, known = (each[placed.row] for each in self.encode(columns[self.name]))
        return placed.series[known], placed.index[known], value[known]


def static_of(
    counted: CountedRows, covariates: Covariates, findings: Findings
) -> tuple[dict[str, StringArray], Float32Array | None]:
    """The newest category and number that the rows hold for each series and static column.

    Returns:
        The categories by column, "" where a series has none; and the numbers, shape (series, column), NaN where a
        series has none, or None where there is no such column.
    """
    categories, numbers = covariates.static, covariates.static_numbers
    if not (categories or numbers):
        return {}, None
    count, codes = len(counted.series_ids), [_Categories() for _ in categories]
    columns = [_Newest(name, count, each.encode, -1) for name, each in zip(categories, codes, strict=True)]
    columns += [_Newest(name, count, _numbers, np.float32(np.nan)) for name in numbers]
    for part in counted.parts([*categories, *numbers]):
        for column in columns:
            column.add(*part)
    _report_outdated(counted, columns, findings)
    labels = {each.name: code.labels(each.value) for each, code in zip(columns, codes, strict=False)}
    values = [each.value for each in columns[len(categories) :]]
    return labels, np.stack(values, axis=1) if values else None


def _report_outdated(counted: CountedRows, columns: Sequence[_Newest], findings: Findings) -> None:
    columns = [column for column in columns if column.changed]
    if not columns:
        return
    times = np.zeros((len(columns), len(counted.series_ids)), np.int64)
    for part in counted.parts([column.name for column in columns]):
        for i, column in enumerate(columns):
            times[i] += np.bincount(column.outdated(*part), minlength=times.shape[1])
    for column, rows in zip(columns, times, strict=True):
        examples = [abbreviate(counted.series_ids[each]) for each in np.flatnonzero(rows)[:EXAMPLES]]
        findings.add(f"rows with an older {column.name}", int(rows.sum()), examples, "the newest value is used")


class _Categories:
    """Numbers for categories, given in the order in which they are met."""

    def __init__(self) -> None:
        self._texts = pa.array([], pa.string())

    def encode(self, column: pa.Array | pa.ChunkedArray) -> tuple[IntArray, BoolArray]:
        """Numbers of a batch of the column, -1 for null; and whether there is one."""
        texts = column.cast(pa.string())
        unknown = pc.unique(texts).drop_null()
        unknown = unknown.filter(pc.invert(pc.is_in(unknown, value_set=self._texts)))
        self._texts = pa.concat_arrays([self._texts, unknown])
        numbers = pc.fill_null(pc.index_in(texts, value_set=self._texts), -1).to_numpy(zero_copy_only=False)
        numbers = np.asarray(numbers, np.int64)
        return numbers, numbers >= 0

    def labels(self, numbers: IntArray) -> StringArray:
        """The categories of some numbers; "" for -1."""
        return np.asarray([*self._texts.to_pylist(), ""], dtype=str)[numbers]


def _numbers(column: pa.Array | pa.ChunkedArray) -> tuple[Float32Array, BoolArray]:
    numbers = finite(column, np.arange(len(column)))
    return numbers, ~np.isnan(numbers)


def report_unusable(panel: Panel, findings: Findings) -> None:
    """Report covariates of the past and of whole series without any value, and categories that look alike."""
    for name, categories in panel.static.items():
        if not (categories != "").any():
            report_empty(name, panel, findings)
        distinct = np.unique(categories).tolist()
        changed = [each for each in distinct if re.search(CHANGED, each)]
        if changed:
            kind = f"categories of {name} that not every database can hold"
            findings.add(kind, len(changed), [abbreviate(each) for each in changed[:EXAMPLES]], KEPT_CHANGED)
        _report_alike(name, distinct, findings)
    numbers = zip(panel.static_number_names, _columns(panel.static_numbers), strict=True)
    past = zip(panel.observed_past_names, _columns(panel.observed_past), strict=True)
    for name, values in (*numbers, *past):
        if np.isnan(values).all():
            report_empty(name, panel, findings)


def _report_alike(name: str, categories: Sequence[str], findings: Findings) -> None:
    """Report categories that differ from another one only by case or blanks."""
    first = dict[str, str]()
    pairs = [(known, each) for each in categories if (known := first.setdefault(_folded(each), each)) != each]
    if pairs:
        examples = [f"{abbreviate(known)!r} beside {abbreviate(each)!r}" for known, each in pairs[:EXAMPLES]]
        kind = f"categories of {name} that differ from another only by case or blanks"
        findings.add(kind, len(pairs), examples, "each is a category of its own")


def _folded(category: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", category).casefold().split())


def _columns(values: Float32Array | None) -> list[Float32Array]:
    return [] if values is None else list(values.T)
