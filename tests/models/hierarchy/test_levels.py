"""The upper levels that a job asks for."""

from __future__ import annotations

import pytest

from models.hierarchy.levels import Levels


def test_a_level_is_called_by_the_columns_that_it_keeps_in_the_order_of_the_id():
    levels = Levels.of(["region", "store", "item"], [["store", "region"], ["item"], []])
    assert levels.names == ("by region/store", "by item", "total")
    assert levels.kept == ((True, True, False), (False, False, True), (False, False, False))
    assert levels


def test_series_of_one_column_have_a_total():
    assert Levels.of(["series_id"], [[]]) == Levels(("total",), ((False,),))


def test_only_the_total_is_left_where_it_is_one_of_the_levels():
    assert Levels.of(["store", "item"], [["store"], []]).total == Levels(("total",), ((False, False),))
    assert not Levels.of(["store", "item"], [["store"]]).total
    assert not Levels().total


@pytest.mark.parametrize(
    ("levels", "words"),
    [
        ([["stor"]], "names \\['stor'\\], but 'stor' is not a column .*\\['store', 'item'\\]; did you mean 'store'"),
        ([["weather"]], "'weather' is not a column .*; \\[\\] is the total of all series"),
        ([["store", "store"]], "a column twice"),
        ([["item", "store"]], "all columns of source.series_id, so it sums over nothing"),
        ([["store"], [], ["store"]], "names \\['store'\\], a level that stands there already"),
        ([[], []], "names \\[\\], a level that stands there already"),
    ],
)
def test_a_level_that_is_none_is_refused(levels, words):
    with pytest.raises(ValueError, match=words):
        Levels.of(["store", "item"], levels)
