"""As of a moment: of several rows for one series and timestamp, the one that was recorded last by then."""

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
# Rows of whole series that are sorted together.
ROWS_AT_ONCE = 4_000_000


def recorded_by(recorded: pa.Array | pa.ChunkedArray, moment: datetime) -> pa.Array | pa.ChunkedArray:
    """Which rows were known at a moment; a row without a time was known from the start.

    Args:
        recorded: timestamp[us, UTC].
        moment: With a zone.
    """
    return pc.fill_null(pc.less_equal(recorded, pa.scalar(moment, recorded.type)), True)


def known_at(rows: pa.Table, moment: datetime | None) -> pa.Table:
    """The rows as they were known at a moment, in their order.

    Args:
        rows: With `series_id` as one dictionary, `timestamp` and `recorded_at` (timestamp[us, UTC]).
        moment: With a zone; None for all that is known.

    Returns:
        Rows recorded by the moment, and of several for one series and timestamp those recorded last: more than
        one where several were recorded at that same time.
    """
    if moment is not None:
        rows = rows.filter(recorded_by(rows["recorded_at"], moment))
    newest = newest_revisions(rows)
    return rows if newest.all() else rows.filter(pa.array(newest))


def newest_revisions(rows: pa.Table) -> BoolArray:
    """Which rows were recorded last of their series and timestamp, shape (row,)."""
    return newest_in_batches(lambda: iter(rows.select(COLUMNS).to_batches()))


def newest_in_batches(batches: Callable[[], Iterator[pa.RecordBatch]]) -> BoolArray:
    """As `newest_revisions`, of rows that are gone through several times; some series at a time are in memory.

    Args:
        batches: Begins anew at each call; `COLUMNS`, ids in the codes of one dictionary for all.
    """
    of_series = np.zeros(0, np.int64)
    for batch in batches():
        count = np.bincount(_codes(batch["series_id"]), minlength=len(of_series))
        count[: len(of_series)] += of_series
        of_series = count
    newest = np.ones(int(of_series.sum()), bool)
    if not _ascending(batches()):
        turns = np.cumsum(of_series) // ROWS_AT_ONCE
        for turn in np.unique(turns[of_series > 0]):
            found = [_of_turn(batch, turns == turn) for batch in batches()]
            mine, series, time, recorded = (np.concatenate(each) for each in zip(*found, strict=True))
            newest[mine] = _newest(series, time, recorded)
    return newest


def _ascending(batches: Iterator[pa.RecordBatch]) -> bool:
    """Whether each series and timestamp comes once, in order, as most tables lie."""
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


def _of_turn(batch: pa.RecordBatch, turn: BoolArray) -> tuple[BoolArray, IntArray, IntArray, IntArray]:
    """Which rows are of some series, shape (row,), and series, time and record of these."""
    series = _codes(batch["series_id"])
    mine = turn[series]
    return mine, series[mine], _integers(batch["timestamp"])[mine], _integers(batch["recorded_at"])[mine]


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
    """Microseconds; what has no time is older than everything."""
    oldest = np.iinfo(np.int64).min
    return np.asarray(pc.fill_null(times.cast(pa.int64()), oldest).to_numpy(zero_copy_only=False))
