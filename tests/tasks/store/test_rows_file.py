"""Rows on file: read batch by batch, as often as one likes, with the codes of one dictionary."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.ipc
import pytest

from tasks.store.rows_file import StoredRows, load_rows, save_rows


@pytest.fixture
def growing_file(tmp_path):
    """Two batches, the second of which adds an id to the dictionary, as the reader of a source writes them."""
    file = tmp_path / "rows.arrow"
    batches = [
        pa.record_batch(
            {
                "series_id": pa.DictionaryArray.from_arrays(pa.array(codes, pa.int32()), names),
                "value": pa.array([float(code) for code in codes]),
                "area": pa.array([10.0 * code for code in codes]),
            }
        )
        for codes, names in (([0, 1, 0], ["b", "a"]), ([2, 1], ["b", "a", "c"]))
    ]
    options = pa.ipc.IpcWriteOptions(emit_dictionary_deltas=True)
    with pa.ipc.new_file(str(file), batches[0].schema, options=options) as writer:
        for batch in batches:
            writer.write_batch(batch)
    return file


def test_batches_come_in_order_as_often_as_one_likes(growing_file):
    rows = StoredRows(growing_file)
    assert (rows.num_rows, rows.column_names) == (5, ["series_id", "value", "area"])
    for _ in range(2):
        batches = list(rows.batches(["area", "series_id"]))
        assert [batch["area"].to_pylist() for batch in batches] == [[0, 10, 0], [20, 10]]
        assert [batch["series_id"].to_pylist() for batch in batches] == [["b", "a", "b"], ["c", "a"]]
        assert {name for batch in batches for name in batch.schema.names} == {"series_id", "area"}


def test_the_dictionary_of_the_first_batch_has_every_id_already(growing_file):
    first, second = StoredRows(growing_file).batches(["series_id"])
    assert first["series_id"].dictionary.to_pylist() == second["series_id"].dictionary.to_pylist() == ["b", "a", "c"]


def test_a_table_comes_back_as_it_was(tmp_path):
    table = pa.table({"series_id": ["a", "b"], "value": [1.0, None]})
    assert load_rows(save_rows(table, tmp_path / "rows.arrow")).equals(table)
    assert [batch.num_rows for batch in StoredRows(tmp_path / "rows.arrow").batches(["value"])] == [2]
