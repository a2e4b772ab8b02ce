"""The aggregation levels that a job asks for."""

from __future__ import annotations

import pytest

from models.hierarchy.aggregation_levels import AggregationLevels


def test_a_level_is_called_by_the_columns_that_it_keeps_in_the_order_of_the_id():
    levels = AggregationLevels.of(["region", "store", "item"], [["store", "region"], ["item"], []])
    assert levels.names == ("by region/store", "by item", "total")
    assert levels.kept == ((True, True, False), (False, False, True), (False, False, False))
    assert levels


def test_series_of_one_column_have_a_total():
    assert AggregationLevels.of(["series_id"], [[]]) == AggregationLevels(("total",), ((False,),))


def test_only_the_total_is_left_where_it_is_one_of_the_levels():
    assert AggregationLevels.of(["store", "item"], [["store"], []]).total == AggregationLevels(
        ("total",), ((False, False),)
    )
    assert not AggregationLevels.of(["store", "item"], [["store"]]).total
    assert not AggregationLevels().total


@pytest.mark.parametrize(
    ("aggregates", "message"),
    [
        ([["stor"]], "lists \\['stor'\\], but 'stor' is not a column .*\\['store', 'item'\\]; did you mean 'store'"),
        ([["weather"]], "'weather' is not a column .*; \\[\\] is the total of all series"),
        ([["store", "store"]], "names a column twice"),
        ([["item", "store"]], "all columns of source.series_id and so sums over nothing"),
        ([["store"], [], ["store"]], "lists \\['store'\\], which repeats another aggregate"),
        ([[], []], "lists \\[\\], which repeats another aggregate"),
    ],
)
def test_an_aggregate_that_is_none_is_refused(aggregates, message):
    with pytest.raises(ValueError, match=message):
        AggregationLevels.of(["store", "item"], aggregates)


def test_levels_of_columns_with_a_slash_in_their_name_have_names_of_their_own():
    levels = AggregationLevels.of(["a/b", "a", "b"], [["a/b"], ["a", "b"]])
    assert levels.names == (r"by a\/b", "by a/b")
