"""Tail probabilities, against distributions whose tails are known."""

import numpy as np
import pytest
from scipy import stats

from models.anomalies.tail_probability import LEAST, tail_probability

LEVELS = np.array([0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95])
NORMAL = stats.norm.ppf(LEVELS)


def probability(actual: list[float], quantiles=NORMAL, levels=LEVELS, spread: float | None = None) -> np.ndarray:
    rows = np.tile(quantiles, (len(actual), 1))
    spreads = None if spread is None else np.full(len(actual), spread)
    return tail_probability(np.array(actual), rows, np.asarray(levels), spreads)[0]


def test_an_actual_at_a_quantile_has_the_probability_of_its_level_on_both_sides():
    assert probability([*NORMAL]) == pytest.approx([0.1, 0.2, 0.5, 1.0, 0.5, 0.2, 0.1])


def test_the_tail_is_that_of_a_generalised_pareto_distribution():
    # One that begins at the upper tenth: the level 0.95 lies (2^0.25 - 1) / 0.25 scales above, by scipy too.
    scale = (NORMAL[-1] - NORMAL[-2]) / ((2**0.25 - 1) / 0.25)
    tail = stats.genpareto(0.25, loc=NORMAL[-2], scale=scale)
    actual = [1.7, 2.5, 4.0, 9.0]
    expected = [2 * 0.1 * tail.sf(each) for each in actual]
    assert probability(actual) == pytest.approx(expected)
    assert probability([-each for each in actual]) == pytest.approx(expected)


def test_the_further_out_the_rarer_and_a_direction_is_given():
    actual = np.linspace(0, 50, 200)
    found, above = tail_probability(np.r_[actual, -actual], np.tile(NORMAL, (400, 1)), LEVELS)
    assert (np.diff(found[:200]) <= 0).all()
    assert above[1:200].all()
    assert not above[200:].any()


def test_the_commonest_count_is_never_rare_and_a_forecast_that_never_moves_makes_any_change_so():
    zeros = [0.0] * 6 + [1.0]
    assert probability([0.0], zeros) == [1.0]
    assert probability([3.0], [0.0] * 7) == [LEAST]
    # The newest changes of the series say what the forecast does not.
    assert probability([3.0], [0.0] * 7, spread=2.0)[0] > 0.03


def test_what_is_not_known_is_not_judged():
    assert np.isnan(probability([np.nan, 1.0], [np.nan, *NORMAL[1:]])).all()
    assert np.isnan(probability([5.0], [0.0], [0.5])).all()
    assert probability([7.0], [0.0, 1.0], [0.5, 0.9])[0] < 0.1
    assert tail_probability(np.empty(0), np.empty((0, 7)), LEVELS)[0].shape == (0,)


def test_quantiles_of_another_shape_are_refused():
    with pytest.raises(ValueError, match="1 actuals and 2 quantile levels"):
        tail_probability(np.zeros(1), np.zeros((1, 3)), np.array([0.1, 0.9]))
