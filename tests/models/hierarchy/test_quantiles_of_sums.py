"""Quantiles of sums of series that move together."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest

from models.hierarchy.aggregation_levels import AggregationLevels
from models.hierarchy.hierarchy import Hierarchy
from models.hierarchy.quantiles_of_sums import joint_ranks, quantiles_of_sums, sample_weights

LEVELS = np.array([0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95])
SCORES = np.array([NormalDist().inv_cdf(level) for level in LEVELS])
BY_STORE = AggregationLevels.of(["store", "item"], [["store"], []])


def normal_quantiles(means, deviation: float, horizon: int = 7) -> np.ndarray:
    """Shape (series, horizon, level)."""
    return np.broadcast_to((np.asarray(means)[:, None] + deviation * SCORES)[:, None], (len(means), horizon, 7)).copy()


def moving(count: int, length: int, shared: float, seed: int) -> dict[str, np.ndarray]:
    """Series of deviation 1 around 10, of which a shock shared by all makes up the part `shared` of the variance."""
    random = np.random.default_rng(seed)
    shock = random.normal(size=length)
    return {
        f"{'ab'[i % 2]}/{i:03}": 10 + np.sqrt(shared) * shock + np.sqrt(1 - shared) * random.normal(size=length)
        for i in range(count)
    }


@pytest.mark.parametrize("shared", [0.0, 0.2, 0.6])
def test_intervals_of_sums_hold_what_they_promise_however_far_series_move_together(make_panel, shared):
    count, draws = 80, 4_000
    panel = make_panel(moving(count, 400, shared, seed=1))
    hierarchy = Hierarchy.of(panel.series_ids, BY_STORE)
    made = quantiles_of_sums(normal_quantiles(np.full(count, 10.0), 1.0), LEVELS, panel, hierarchy)
    random = np.random.default_rng(2)
    futures = (
        10 + np.sqrt(shared) * random.normal(size=(1, draws)) + np.sqrt(1 - shared) * random.normal(size=(count, draws))
    )
    actual = hierarchy.sums(futures)[:, None]
    lower, upper = made[:, :1, [0]], made[:, :1, [-1]]
    coverage = ((lower <= actual) & (actual <= upper)).mean(axis=(1, 2))
    assert np.abs(coverage - 0.9).max() < 0.05
    # A sum of independent series is as wide as the root of their number: for those that move together far too narrow.
    total = hierarchy.series_ids == "*/*"
    half = NormalDist().inv_cdf(0.95) * np.sqrt(count)
    if shared:
        naive = np.abs(actual[total] - 10 * count) <= half
        assert naive.mean() < 0.5
    else:
        assert (upper - lower)[total].mean() == pytest.approx(2 * half, rel=0.15)


def test_series_that_do_the_opposite_of_each_other_have_a_sum_without_spread(make_panel):
    swing = np.random.default_rng(0).normal(size=300)
    panel = make_panel({"a/x": 5 + swing, "a/y": 5 - swing})
    made = quantiles_of_sums(normal_quantiles([5.0, 5.0], 1.0), LEVELS, panel, Hierarchy.of(panel.series_ids, BY_STORE))
    assert made == pytest.approx(10.0, abs=1e-9)


def test_series_that_do_the_same_have_a_sum_whose_quantiles_add_up(make_panel):
    swing = np.random.default_rng(0).normal(size=300)
    panel = make_panel({"a/x": 5 + swing, "a/y": 50 + 10 * swing})
    quantiles = np.concatenate([normal_quantiles([5.0], 1.0), normal_quantiles([50.0], 10.0)])
    made = quantiles_of_sums(quantiles, LEVELS, panel, Hierarchy.of(panel.series_ids, BY_STORE))
    assert made == pytest.approx(np.broadcast_to(55 + 11 * SCORES, made.shape), rel=0.005)


def test_with_next_to_no_past_the_widest_sum_is_taken(make_panel):
    panel = make_panel({"a/x": [1.0, 2.0, 3.0], "a/y": [4.0]})
    made = quantiles_of_sums(normal_quantiles([5.0, 5.0], 1.0), LEVELS, panel, Hierarchy.of(panel.series_ids, BY_STORE))
    assert made == pytest.approx(np.broadcast_to(10 + 2 * SCORES, made.shape), rel=0.005)


def test_an_aggregate_of_one_part_has_the_quantiles_of_that_part(make_panel):
    panel = make_panel(moving(3, 100, 0.5, seed=3))
    hierarchy = Hierarchy.of(panel.series_ids, BY_STORE)
    quantiles = np.sort(np.random.default_rng(0).gamma(1.0, size=(3, 7, 7)), axis=-1)
    made = quantiles_of_sums(quantiles, LEVELS, panel, hierarchy)
    assert hierarchy.parts.tolist() == [3, 2, 1]
    assert made[2].tolist() == quantiles[2].tolist()


def test_sums_keep_bounds_never_cross_and_are_the_same_from_the_same_seed(make_panel):
    panel = make_panel(moving(20, 60, 0.3, seed=4) | {"b/new": [], "a/gaps": [1.0, *[np.nan] * 30, 2.0]})
    hierarchy = Hierarchy.of(panel.series_ids, BY_STORE)
    quantiles = np.sort(np.random.default_rng(0).exponential(1, size=(22, 20, 7)), axis=-1)
    made, again = (quantiles_of_sums(quantiles, LEVELS, panel, hierarchy, lower_bound=0.0, seed=5) for _ in range(2))
    assert (made == again).all()
    assert np.isfinite(made).all()
    assert (made >= 0).all()
    assert (np.diff(made, axis=-1) >= 0).all()
    capped = quantiles_of_sums(quantiles, LEVELS, panel, hierarchy, upper_bound=0.5)
    assert (capped <= 0.5 * hierarchy.parts[:, None, None]).all()


def test_a_single_level_adds_up(make_panel):
    panel = make_panel(moving(4, 60, 0.3, seed=4))
    hierarchy = Hierarchy.of(panel.series_ids, BY_STORE)
    middle = np.arange(4.0)[:, None, None] * np.ones((4, 7, 1))
    assert quantiles_of_sums(middle, np.array([0.5]), panel, hierarchy)[:, 0, 0].tolist() == [6.0, 1.0, 5.0]


def test_samples_of_a_normal_forecast_are_normal_beyond_its_outermost_levels_too():
    samples = SCORES @ sample_weights(LEVELS, 99)
    assert samples == pytest.approx([NormalDist().inv_cdf((i + 0.5) / 99) for i in range(99)])


def test_ranks_follow_the_order_of_past_changes_on_the_same_dates(make_panel):
    rising = np.cumsum(np.arange(30.0))
    panel = make_panel({"a": rising, "b": -rising, "c": np.full(30, 3.0)}, season_lengths=(1,))
    ranks = joint_ranks(panel, 1, seed=0)
    # 29 dates, each nine times: the change of `a` grows from date to date and that of `b` falls.
    assert ranks.shape == (3, 261)
    date = np.arange(261) % 29
    assert (ranks[0] // 9).tolist() == date.tolist()
    assert (ranks[1] // 9).tolist() == (28 - date).tolist()
    # Changes that are all alike are in an order of chance, not in that of the dates.
    assert abs(np.corrcoef(ranks[2], date)[0, 1]) < 0.3
    assert (np.sort(ranks, axis=1) == np.arange(261)).all()


def test_days_on_which_nothing_is_open_do_not_count_for_how_series_move_together(make_panel):
    together = moving(40, 280, 1.0, seed=6)
    closed = np.arange(280) % 7 >= 5
    panel = make_panel({name: np.where(closed, np.nan, values) for name, values in together.items()})
    ranks = joint_ranks(panel, 7, seed=0)
    assert np.corrcoef(ranks).min() > 0.99
