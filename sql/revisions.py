"""As of a moment: of several rows for one series and timestamp, the one that was recorded last by then."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

BoolArray = npt.NDArray[np.bool_]


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
    series = np.concatenate([np.empty(0, np.int32), *(_codes(chunk) for chunk in rows["series_id"].chunks)])
    time = _integers(rows["timestamp"])
    recorded = _integers(rows["recorded_at"])
    ascending = (series[1:] > series[:-1]) | ((series[1:] == series[:-1]) & (time[1:] > time[:-1]))
    if ascending.all():
        # As most tables lie, or come: each series and timestamp once.
        return np.ones(len(series), bool)
    order = np.lexsort((recorded, time, series))
    series, time, recorded = series[order], time[order], recorded[order]
    ends = np.flatnonzero(np.append((series[1:] != series[:-1]) | (time[1:] != time[:-1]), True))
    last = np.repeat(recorded[ends], np.diff(ends, prepend=-1))
    newest = np.empty(len(order), bool)
    newest[order] = recorded == last
    return newest


def _codes(chunk: pa.DictionaryArray) -> npt.NDArray[np.int32]:
    return np.asarray(chunk.indices.to_numpy(zero_copy_only=False), np.int32)


def _integers(times: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    """Microseconds; what has no time is older than everything."""
    oldest = np.iinfo(np.int64).min
    chunks = (pc.fill_null(chunk.cast(pa.int64()), oldest).to_numpy(zero_copy_only=False) for chunk in times.chunks)
    return np.concatenate([np.empty(0, np.int64), *chunks])
