"""Where an actual lies in its forecast, by hand and beside the normal distribution."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.special import ndtri

from models.calibration.normal_scores import WIDEST, even_chance, quantiles_at, scores_of

LEVELS = np.array([0.1, 0.25, 0.5, 0.75, 0.9])
NOMINAL = ndtri(LEVELS)
NO_BOUNDS = (None, None)


def score(actual, quantiles, bounds=NO_BOUNDS, chance=0.5):
    known = NOMINAL[None] if len(quantiles) == 5 else ndtri(np.array([[0.1, 0.5, 0.9]]))
    made = scores_of(np.array([actual]), np.array([quantiles], float), known, known, bounds, np.array([chance]))
    return float(made[0])


def test_scores_in_a_normal_forecast_are_those_of_the_normal_distribution():
    quantiles = 10 + 2 * NOMINAL
    for actual in (3.0, 8.2, 10.0, 11.0, 12.5, 15.0):
        assert score(actual, quantiles) == pytest.approx((actual - 10) / 2)
    assert score(1e9, quantiles) == WIDEST


def test_each_side_goes_on_as_steeply_as_from_the_median():
    # A step of 1.2816 down from the median is 4 wide, one up is 8.
    quantiles = [6.0, 10.0, 18.0]
    assert score(2.0, quantiles) == pytest.approx(2 * ndtri(0.1))
    assert score(26.0, quantiles) == pytest.approx(2 * ndtri(0.9))


def test_a_side_without_width_goes_on_as_the_whole_does():
    whole = 8.0 / (2 * ndtri(0.9))
    assert score(8.0, [10.0, 10.0, 18.0]) == pytest.approx(ndtri(0.1) - 2.0 / whole)


def test_an_actual_in_a_flat_range_has_every_quantile_level_of_the_range():
    # Zero up to the median, and a bound there: from nothing to one half.
    for chance in (0.1, 0.5, 0.9):
        made = score(0.0, [0.0, 0.0, 0.0, 2.0, 5.0], (0.0, None), chance)
        assert made == pytest.approx(ndtri(0.5 * chance))
    # Without the bound, only the quantiles decide.
    assert score(0.0, [0.0, 0.0, 0.0, 2.0, 5.0], chance=0.5) == pytest.approx(ndtri(0.3))


def test_what_a_bound_cuts_off_lies_on_it():
    # Straight on from the median the forecast reaches zero at twice the score of 0.1.
    assert score(0.0, [4.0, 8.0, 12.0], (0.0, None), 1 - 1e-9) == pytest.approx(2 * ndtri(0.1))
    assert score(16.0, [4.0, 8.0, 12.0], (None, 16.0), 1e-9) == pytest.approx(2 * ndtri(0.9), abs=1e-6)


def test_a_stretch_ends_where_the_forecast_bends_and_not_where_it_was_published():
    known = ndtri(np.array([[0.05, 0.3, 0.8]]))
    bends = ndtri(np.array([[0.1, 0.5, 0.9]]))
    made = scores_of(np.zeros(1), np.array([[0.0, 0.0, 3.0]]), known, bends, (0.0, None), np.array([1 - 1e-9]))
    assert made[0] == pytest.approx(0.0, abs=1e-6)


def test_a_forecast_without_width_has_no_scores():
    assert np.isnan(score(4.0, [3.0, 3.0, 3.0]))
    assert quantiles_at(np.full((1, 5), 3.0), NOMINAL, np.array([[-4.0, 0.0, 4.0]])).tolist() == [[3.0, 3.0, 3.0]]


steps = arrays.arrays(np.float64, 4, elements=st.floats(0.01, 100))


@given(steps, st.floats(-3, 3))
def test_an_actual_is_read_back_at_its_score(widths, at):
    quantiles = np.concatenate([[0.0], np.cumsum(widths)])[None]
    actual = quantiles_at(quantiles, NOMINAL, np.array([[at]]))[0]
    found = scores_of(actual, quantiles, NOMINAL[None], NOMINAL[None], NO_BOUNDS, np.array([0.5]))
    assert found[0] == pytest.approx(at, abs=1e-6)


@given(
    arrays.arrays(np.float64, 5, elements=st.floats(-50, 50)), arrays.arrays(np.float64, 6, elements=st.floats(-6, 6))
)
def test_what_is_read_at_rising_scores_rises(quantiles, wanted):
    found = quantiles_at(np.sort(quantiles)[None], NOMINAL, np.sort(wanted)[None])[0]
    assert (np.diff(found) >= -1e-9).all()


def test_chance_is_even_and_the_same_when_asked_again():
    series, step = (each.ravel() for each in np.meshgrid(np.arange(50), np.arange(14)))
    chance = np.concatenate([even_chance(series, step, night) for night in (3, 4, 5)])
    assert np.abs(np.quantile(chance, LEVELS) - LEVELS).max() < 0.02
    np.testing.assert_array_equal(even_chance(series, step, 3), even_chance(series, step, 3))
