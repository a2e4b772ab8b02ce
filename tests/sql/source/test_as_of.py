"""Of several rows for one series and timestamp the newest, whatever the batches they come in."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sql.source.as_of
from sql.source.as_of import newest_in_batches

ROW = st.tuples(st.sampled_from("abcd"), st.integers(1, 3), st.sampled_from([None, 1, 2, 3]))


def batch_of(rows: list[tuple[str, int, int | None]]) -> pa.RecordBatch:
    ids, days, recorded = zip(*rows, strict=True) if rows else ((), (), ())
    codes = pa.array(["abcd".index(each) for each in ids], pa.int32())
    return pa.record_batch(
        {
            "series_id": pa.DictionaryArray.from_arrays(codes, [*"abcd"]),
            "timestamp": pa.array([datetime(2024, 1, day) for day in days], pa.timestamp("us")),
            "recorded_at": pa.array(
                [day and datetime(2024, 2, day, tzinfo=UTC) for day in recorded], pa.timestamp("us", "UTC")
            ),
        }
    )


@settings(max_examples=60)
@given(st.lists(st.lists(ROW, max_size=6), min_size=1, max_size=5), st.sampled_from([1, 3, 1_000]), st.booleans())
def test_rows_recorded_last_stay_however_many_are_sorted_together(parts, at_once, ordered):
    rows = [row for part in parts for row in part]
    if ordered:
        # Each place once and in order, which needs no sorting.
        rows = sorted({row[:2]: row for row in rows}.values(), key=lambda row: row[:2])
        parts = [rows[first : first + 2] for first in range(0, len(rows), 2)] or [[]]
    last: dict[tuple[object, ...], int] = {}
    for *place, recorded in rows:
        last[tuple(place)] = max(last.get(tuple(place), 0), recorded or 0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sql.source.as_of, "ROWS_AT_ONCE", at_once)
        newest = newest_in_batches(lambda: map(batch_of, parts))
    # A row that does not say when it was recorded was known before all others.
    assert newest.tolist() == [(recorded or 0) == last[*place] for *place, recorded in rows]
