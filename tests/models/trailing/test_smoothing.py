from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from models.trailing.smoothing import SPAN, exponentially_weighted


@pytest.fixture(scope="module")
def series():
    """Two series end to end with gaps, and the distance of each position from the beginning of its series."""
    random = np.random.default_rng(0)
    lengths = 150, 90
    values = random.normal(size=sum(lengths))
    values[random.random(len(values)) < 0.2] = np.nan
    return values, np.concatenate([np.arange(length) for length in lengths])


def test_it_is_the_weighted_mean_of_the_last_steps_of_the_same_series(series):
    values, place = series
    weights = 0.1, 0.6
    found = exponentially_weighted(values, place, weights)
    for position in (0, 1, 70, 149, 150, 153, 239):
        last = values[position - min(SPAN - 1, place[position]) : position + 1]
        for column, weight in enumerate(weights):
            expected = pd.Series(last).ewm(alpha=weight, ignore_na=False).mean().iloc[-1]
            np.testing.assert_allclose(found[position, column], expected, rtol=1e-12)


def test_a_mean_over_cycles_is_that_of_the_same_step_of_each(series):
    values, place = series
    found = exponentially_weighted(values, place, [0.3], cycle=7, span=8)
    for position in (6, 149, 150, 239):
        cycles = values[position - 7 * np.arange(min(8, place[position] // 7 + 1))]
        weights = 0.7 ** np.arange(len(cycles))
        known = ~np.isnan(cycles)
        expected = (weights[known] * cycles[known]).sum() / weights[known].sum() if known.any() else np.nan
        np.testing.assert_allclose(found[position, 0], expected, rtol=1e-12)


def test_what_lies_further_back_changes_no_digit(series):
    values, place = series
    whole = exponentially_weighted(values, place, [0.1])
    begin = 100
    part = exponentially_weighted(values[begin:150], place[:50], [0.1])
    np.testing.assert_array_equal(part[SPAN - 1 :], whole[begin + SPAN - 1 : 150])
    assert len(part[SPAN - 1 :]) == 0 or np.isfinite(part[SPAN - 1 :]).all()
    longer = exponentially_weighted(values[40:150], place[:110], [0.1])
    np.testing.assert_array_equal(longer[SPAN:], whole[40 + SPAN : 150])


def test_without_a_value_there_is_no_mean_and_with_one_it_is_that_value():
    values = np.array([np.nan, np.nan, 3.0, np.nan, np.nan])
    found = exponentially_weighted(values, np.arange(5), [0.999])
    np.testing.assert_allclose(found[:, 0], [np.nan, np.nan, 3, 3, 3])
