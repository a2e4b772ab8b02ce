"""How much forecasts change from one night to the next, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from models.metrics.stability import changes, instability_scores

NAN = float("nan")


def test_forecasts_of_the_same_day_are_compared_in_units_of_each_series():
    tonight, before = np.array([[10.0, 20.0, 30.0], [1.0, 1.0, 1.0]]), np.array([[0.0, 8.0, 26.0], [9.0, 2.0, 4.0]])
    np.testing.assert_array_equal(changes(tonight, before, 1, np.array([2.0, 1.0])), [[1, 3, NAN], [1, 3, NAN]])
    np.testing.assert_array_equal(changes(tonight, before, 2, np.array([2.0, 1.0])), [[8, NAN, NAN], [3, NAN, NAN]])


@pytest.mark.parametrize("gap", [3, 40])
def test_nights_that_share_no_day_have_no_revision(gap):
    assert np.isnan(changes(np.ones((2, 3)), np.ones((2, 3)), gap, np.ones(2))).all()


def test_an_earlier_night_of_a_longer_horizon_is_compared_on_all_days_of_tonight():
    np.testing.assert_array_equal(changes(np.array([[5.0]]), np.array([[1.0, 2.0, 3.0]]), 1, np.ones(1)), [[3]])


def test_a_segments_revision_is_the_mean_over_its_series_and_of_each_step():
    model, naive = (
        np.array([[1, 3, NAN], [NAN, 5, NAN], [9, 9, NAN]]),
        np.array([[2, 4, NAN], [NAN, NAN, NAN], [0, 0, 0]]),
    )
    found = instability_scores(model, naive, np.array([True, True, False]))
    assert [(score.step, score.value, score.baseline_value, score.n) for score in found] == [
        (0, 3.0, 3.0, 3), (1, 1.0, 2.0, 1), (2, 4.0, 4.0, 2),
    ]  # fmt: skip
    assert {score.metric for score in found} == {"instability"}
    assert instability_scores(model, naive, np.array([False, False, False])) == []
