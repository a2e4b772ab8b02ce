"""As-of reads: of several vintages of one row, the newest that was recorded by a moment.

Vintages are rows with the same series and timestamp that were recorded at different times.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]

COLUMNS = ["series_id", "timestamp", "recorded_at"]
# Rows are sorted in groups of whole series, of about this many rows.
ROWS_AT_ONCE = 4_000_000


def recorded_by(recorded: pa.Array | pa.ChunkedArray, moment: datetime) -> pa.Array | pa.ChunkedArray:
    """Which rows were recorded by a moment; a row without a time counts as known from the start.

    Args:
        recorded: timestamp[us, UTC].
        moment: With a time zone.
    """
    return pc.fill_null(pc.less_equal(recorded, pa.scalar(moment, recorded.type)), True)


def known_at(rows: pa.Table, moment: datetime | None) -> pa.Table:
    """The rows as they were known at a moment, in their order.

    Args:
        rows: With `series_id` (one dictionary), `timestamp` and `recorded_at` (timestamp[us, UTC]).
        moment: With a time zone; None for everything known today.

    Returns:
        The newest vintage of each series and timestamp that was recorded by the moment. Several rows remain where
        several were recorded at the same time.
    """
    if moment is not None:
        rows = rows.filter(recorded_by(rows["recorded_at"], moment))
    newest = newest_vintages(rows)
    return rows if newest.all() else rows.filter(pa.array(newest))


def newest_vintages(rows: pa.Table) -> BoolArray:
    """Which rows are the newest of their series and timestamp, shape (row,)."""
    return newest_in_batches(lambda: iter(rows.select(COLUMNS).to_batches()))


def newest_in_batches(batches: Callable[[], Iterator[pa.RecordBatch]]) -> BoolArray:
    """As `newest_vintages`, but reads the batches several times and holds only some series in memory.

    Args:
        batches: Starts again at each call; gives `COLUMNS`, with ids in one dictionary for all batches.

    Returns:
        Shape (row,).
    """
    rows_of_series = np.zeros(0, np.int64)
    for batch in batches():
        count = np.bincount(_codes(batch["series_id"]), minlength=len(rows_of_series))
        count[: len(rows_of_series)] += rows_of_series
        rows_of_series = count
    newest = np.ones(int(rows_of_series.sum()), bool)
    if not _is_strictly_ascending(batches()):
        group_of_series = np.cumsum(rows_of_series) // ROWS_AT_ONCE
        for group in np.unique(group_of_series[rows_of_series > 0]):
            parts = [_rows_of(batch, group_of_series == group) for batch in batches()]
            in_group, series, time, recorded = (np.concatenate(each) for each in zip(*parts, strict=True))
            newest[in_group] = _newest(series, time, recorded)
    return newest


def _is_strictly_ascending(batches: Iterator[pa.RecordBatch]) -> bool:
    """Whether rows come by series and timestamp, each pair once, which is how most tables are stored."""
    before: tuple[int, int] | None = None
    for batch in batches:
        series, time = _codes(batch["series_id"]), _integers(batch["timestamp"])
        if not ((series[1:] > series[:-1]) | ((series[1:] == series[:-1]) & (time[1:] > time[:-1]))).all():
            return False
        if len(series):
            if before is not None and (series[0], time[0]) <= before:
                return False
            before = int(series[-1]), int(time[-1])
    return True


def _rows_of(batch: pa.RecordBatch, wanted_series: BoolArray) -> tuple[BoolArray, IntArray, IntArray, IntArray]:
    """Which rows belong to the wanted series, shape (row,); and series, time and record time of those."""
    series = _codes(batch["series_id"])
    wanted = wanted_series[series]
    return wanted, series[wanted], _integers(batch["timestamp"])[wanted], _integers(batch["recorded_at"])[wanted]


def _newest(series: IntArray, time: IntArray, recorded: IntArray) -> BoolArray:
    order = np.lexsort((recorded, time, series))
    series, time, recorded = series[order], time[order], recorded[order]
    ends = np.flatnonzero(np.append((series[1:] != series[:-1]) | (time[1:] != time[:-1]), True))
    last = np.repeat(recorded[ends], np.diff(ends, prepend=-1))
    newest = np.empty(len(order), bool)
    newest[order] = recorded == last
    return newest


def _codes(ids: pa.DictionaryArray) -> IntArray:
    return np.asarray(ids.indices.to_numpy(zero_copy_only=False), np.int64)


def _integers(times: pa.Array) -> IntArray:
    """Microseconds; a missing time is older than every other."""
    oldest = np.iinfo(np.int64).min
    return np.asarray(pc.fill_null(times.cast(pa.int64()), oldest).to_numpy(zero_copy_only=False))
