"""Which series add up to which aggregates."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.hierarchy.aggregation_levels import AggregationLevels
from models.hierarchy.hierarchy import Hierarchy, parts_of
from sql.source import columns

STORE_ITEM = AggregationLevels.of(["store", "item"], [["store"], ["item"], []])
words = st.text("ab*/\\ ", max_size=5)


def ids_of(parts: list[tuple[str, ...]]) -> list[str]:
    """Ids as the reader writes them."""
    arrays = [pa.chunked_array([pa.array(column, pa.string())]) for column in zip(*parts, strict=True)]
    return columns.series_ids(arrays, [f"c{i}" for i in range(len(arrays))], "table").to_pylist()


def test_aggregates_are_called_by_what_they_keep_and_add_up_what_is_below():
    ids = np.array(["Bilbao/tea", "Madrid/coffee", "Madrid/tea"])
    hierarchy = Hierarchy.of(ids, STORE_ITEM)
    assert hierarchy.series_ids.tolist() == ["*/*", "*/coffee", "*/tea", "Bilbao/*", "Madrid/*"]
    assert [STORE_ITEM.names[level] for level in hierarchy.aggregation_level] == [
        "total", "by item", "by item", "by store", "by store",
    ]  # fmt: skip
    assert hierarchy.parts.tolist() == [3, 1, 2, 1, 2]
    values = np.array([[1.0, 10.0], [2.0, 20.0], [4.0, 40.0]])
    assert hierarchy.sums(values).tolist() == [[7, 70], [2, 20], [5, 50], [1, 10], [6, 60]]
    assert hierarchy.sums(values[[2]], np.array([2])).tolist() == [[4, 40], [0, 0], [4, 40], [0, 0], [4, 40]]


@given(st.lists(st.tuples(words, words), min_size=1, max_size=12, unique=True))
def test_no_aggregate_ever_has_the_id_of_a_series(parts):
    ids = ids_of(parts)
    hierarchy = Hierarchy.of(np.array(ids), STORE_ITEM)
    assert set(hierarchy.series_ids).isdisjoint(ids)
    stores, items = ({each[column] for each in parts} for column in (0, 1))
    counts = dict(zip(*np.unique(hierarchy.aggregation_level, return_counts=True), strict=True))
    assert counts == {0: len(stores), 1: len(items), 2: 1}
    # Every series is a part of the one store that is its own.
    for (store, _), above in zip(parts, hierarchy.series_ids[hierarchy.part_of[0]], strict=True):
        [(written, _)] = {tuple(parts_of(each, 2)) for each in ids_of([(store, "x")])}
        assert above == f"{written}/*"


@given(st.lists(words, min_size=1, max_size=12, unique=True))
def test_the_total_of_series_of_one_column_has_the_id_of_none_of_them(names):
    ids = ids_of([(name,) for name in names])
    assert len(set(ids)) == len(names)
    assert Hierarchy.of(np.array(ids), AggregationLevels.of(["id"], [[]])).series_ids.tolist() == ["*"]
    assert "*" not in ids
    assert [found for name, found in zip(names, ids, strict=True) if name.strip("\\") != "*"] == [
        name for name in names if name.strip("\\") != "*"
    ]


@given(st.lists(words, min_size=2, max_size=4))
def test_an_id_falls_into_as_many_parts_as_it_was_made_of(parts):
    [series_id] = ids_of([tuple(parts)])
    found = parts_of(series_id, len(parts))
    assert "/".join(found) == series_id
    assert [re.sub(r"\\(.)", r"\1", part) for part in found] == parts


def test_an_id_of_another_number_of_parts_is_an_error():
    with pytest.raises(ValueError, match="'a/b/c' has 3 parts, not 2"):
        parts_of("a/b/c", 2)
    with pytest.raises(ValueError, match="has 1 parts, not 2"):
        parts_of("a\\/b", 2)
