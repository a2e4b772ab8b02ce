"""The past of aggregates."""

from __future__ import annotations

import numpy as np
import pytest

from models.hierarchy import history as history
from models.hierarchy.aggregation_levels import AggregationLevels
from models.hierarchy.hierarchy import Hierarchy
from models.hierarchy.history import aggregate_panel
from models.hierarchy.merge import merge_panels

LEVELS = AggregationLevels.of(["store", "item"], [["store"], []])
NAN = float("nan")


def total_of(panel) -> list[float]:
    return aggregate_panel(panel, Hierarchy.of(panel.series_ids, LEVELS.total)).values.tolist()


def test_the_past_of_a_sum_begins_with_its_first_part_and_adds_up(make_panel):
    panel = make_panel({"a/x": [1.0, 2.0, 3.0], "a/y": [10.0, 20.0], "b/x": [100.0]}, season_lengths=(7,))
    aggregate = aggregate_panel(panel, Hierarchy.of(panel.series_ids, LEVELS))
    assert aggregate.series_ids.tolist() == ["*/*", "a/*", "b/*"]
    assert [aggregate.series(i).tolist() for i in range(3)] == [[1, 12, 123], [1, 12, 23], [100]]
    assert aggregate.cutoff_index == panel.cutoff_index


def test_a_small_part_without_a_value_counts_as_it_was_a_season_before(make_panel):
    season = [5.0, 7.0]
    big = [100.0, 200.0] * 3
    panel = make_panel({"a/x": big, "a/y": [*season, NAN, 8.0, NAN, NAN]}, season_lengths=(2,))
    assert total_of(panel) == [105, 207, 105, 208, 105, 208]


def test_where_more_than_a_tenth_of_a_sum_is_missing_it_is_not_known(make_panel):
    panel = make_panel(
        {"a/x": [100.0] * 4, "a/y": [11.0, 11.0, NAN, 11.0], "a/z": [12.0, 12.0, 12.0, NAN]}, season_lengths=(1,)
    )
    # 112 of 123 is more than nine tenths, 111 of 123 less by a trifle.
    assert total_of(panel) == [123, 123, 123, pytest.approx(123)]
    panel = make_panel({"a/x": [100.0] * 3, "a/y": [12.0, NAN, 12.0], "b/x": [NAN] * 3}, season_lengths=(1,))
    assert total_of(panel) == pytest.approx([112, NAN, 112], nan_ok=True)


def test_a_part_that_has_been_silent_for_eight_seasons_adds_nothing(make_panel):
    panel = make_panel({"a/x": [1.0] * 12, "a/y": [50.0, *[NAN] * 11]}, season_lengths=(1,))
    assert total_of(panel) == pytest.approx([51, *[NAN] * 8, 1, 1, 1], nan_ok=True)


def test_where_no_part_has_a_value_the_sum_has_none(make_panel):
    panel = make_panel({"a/x": [0.0, NAN, 0.0], "a/y": [0.0, NAN, NAN]}, season_lengths=(1,))
    assert total_of(panel) == pytest.approx([0, NAN, 0], nan_ok=True)


def test_the_past_is_the_same_however_many_series_are_added_up_at_once(make_panel, monkeypatch):
    random = np.random.default_rng(0)
    lengths = random.integers(1, 50, 30)
    series = {
        f"{'abc'[i % 3]}/{i:02}": np.where(random.random(n) < 0.1, NAN, random.gamma(1.0, size=n))
        for i, n in enumerate(lengths)
    }
    panel = make_panel(series)
    hierarchy = Hierarchy.of(panel.series_ids, LEVELS)
    whole = aggregate_panel(panel, hierarchy).values
    monkeypatch.setattr(history, "_VALUES_AT_ONCE", 150)
    assert aggregate_panel(panel, hierarchy).values == pytest.approx(whole, nan_ok=True)


def test_two_panels_beside_each_other_are_one_in_the_order_of_ids(make_panel):
    panel = make_panel({"!/x": [1.0, 2.0], "a/x": [3.0]})
    aggregate = aggregate_panel(panel, Hierarchy.of(panel.series_ids, LEVELS))
    both, place = merge_panels(panel, aggregate)
    assert both.series_ids.tolist() == ["!/*", "!/x", "*/*", "a/*", "a/x"]
    assert place.tolist() == [2, 0, 3, 4, 1]
    assert [both.series(i).tolist() for i in range(5)] == [[1, 2], [1, 2], [1, 5], [3], [3]]
