"""Covariates of aggregates."""

from __future__ import annotations

import numpy as np
import pytest

from models.hierarchy.aggregation_levels import AggregationLevels
from models.hierarchy.covariates import with_covariates
from models.hierarchy.hierarchy import Hierarchy
from models.hierarchy.history import aggregate_panel
from models.hierarchy.merge import merge_panels

NAN = np.nan


@pytest.fixture
def panel(make_panel):
    """Two series of store `a`, of three and two steps, and one of store `b`, with every kind of covariate."""
    return make_panel(
        {"a/x": [1.0, 2.0, 3.0], "a/y": [4.0, 5.0], "b/x": [6.0]},
        horizon=1,
        static={"region": np.array(["north", "north", "south"]), "kind": np.array(["x", "y", "x"])},
        static_numbers=np.array([[10.0], [20.0], [NAN]], np.float32),
        static_number_names=("area",),
        known_future=np.array([[0.0], [1.0], [1.0], [0.0], [1.0], [0.0], [NAN], [NAN], [1.0]], np.float32),
        known_future_names=("promotion",),
        observed_past=np.array([[7.0], [NAN], [9.0], [2.0], [1.0], [5.0]], np.float32),
        observed_past_names=("visitors",),
        refused={"b/x": "too short"},
    )


def test_aggregates_have_what_their_parts_have_in_common_and_the_means_of_their_numbers(panel):
    hierarchy = Hierarchy.of(panel.series_ids, AggregationLevels.of(["store", "item"], [["store"]]))
    aggregate = with_covariates(aggregate_panel(panel, hierarchy), panel, hierarchy)
    assert aggregate.series_ids.tolist() == ["a/*", "b/*"]
    assert aggregate.static["region"].tolist() == ["north", "south"]
    assert aggregate.static["kind"].tolist() == ["", "x"]
    assert aggregate.static_numbers.ravel().tolist() == pytest.approx([15, NAN], nan_ok=True)
    assert aggregate.known_future.ravel().tolist() == pytest.approx([0, 1, 0.5, 0, NAN, 1], nan_ok=True)
    assert aggregate.observed_past.ravel().tolist() == pytest.approx([7, 2, 5, 5], nan_ok=True)
    assert (aggregate.covariates, aggregate.horizon) == (panel.covariates, panel.horizon)


def test_aggregates_beside_those_below_keep_their_covariates(panel):
    hierarchy = Hierarchy.of(panel.series_ids, AggregationLevels.of(["store", "item"], [["store"]]))
    both, _ = merge_panels(panel, with_covariates(aggregate_panel(panel, hierarchy), panel, hierarchy))
    assert both.series_ids.tolist() == ["a/*", "a/x", "a/y", "b/*", "b/x"]
    assert both.static["kind"].tolist() == ["", "x", "y", "x", "x"]
    assert both.static_numbers.ravel().tolist() == pytest.approx([15, 10, 20, NAN, NAN], nan_ok=True)
    known = [0, 1, 0.5, 0, 0, 1, 1, 0, 1, 0, NAN, NAN, 1, NAN, 1]
    assert both.known_future.ravel().tolist() == pytest.approx(known, nan_ok=True)
    assert both.observed_past.ravel().tolist() == pytest.approx([7, 2, 5, 7, NAN, 9, 2, 1, 5, 5], nan_ok=True)
    assert both.refused == {"b/x": "too short"}
