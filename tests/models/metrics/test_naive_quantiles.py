"""The quantiles of the seasonal naive against SciPy's Laplace distribution and against simulated seasonal changes."""

from __future__ import annotations

import numpy as np
import scipy.stats

from models.metrics.evaluate import evaluate_segments
from models.metrics.naive_quantiles import naive_quantiles

LEVELS = np.array([0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95])


def test_they_are_those_of_a_laplace_distribution_that_widens_with_each_season() -> None:
    naive = np.array([[10.0, 20.0, 30.0, 40.0, 50.0]])

    found = naive_quantiles(naive, LEVELS, np.array([3.0]), season_length=2)

    widths = 3.0 * np.sqrt([1, 1, 2, 2, 3])
    for step in range(5):
        expected = scipy.stats.laplace.ppf(LEVELS, loc=naive[0, step], scale=widths[step])
        np.testing.assert_allclose(found[0, step], expected)


def test_a_series_without_a_seasonal_error_keeps_its_naive_and_a_missing_naive_stays_missing() -> None:
    found = naive_quantiles(np.array([[5.0], [6.0], [np.nan]]), LEVELS, np.array([np.nan, 0.0, 1.0]), 7)

    np.testing.assert_array_equal(found[:2, 0], [[5.0] * 7, [6.0] * 7])
    assert np.isnan(found[2]).all()


def test_they_cover_what_they_say_and_lose_less_than_the_naive_alone() -> None:
    random = np.random.default_rng(3)
    changes = random.laplace(0, 4.0, (20_000, 200))
    seasonal_error, naive = np.abs(changes[:, 1:]).mean(axis=1), np.full((20_000, 1), 50.0)
    actual = naive + changes[:, :1]
    everyone = {"all": np.ones(len(naive), bool)}

    def losses_beside(baseline: np.ndarray) -> dict[str, float]:
        scores = evaluate_segments(actual, quantiles, LEVELS, seasonal_error, everyone, baseline)["all"]
        return {score.metric: score.baseline_value for score in scores if score.step == 0}

    quantiles = naive_quantiles(naive, LEVELS, seasonal_error, 1)
    with_quantiles, alone = losses_beside(quantiles), losses_beside(np.repeat(naive[..., None], len(LEVELS), axis=-1))
    inside = (quantiles[..., 1] <= actual) & (actual <= quantiles[..., -2])
    assert abs(inside.mean() - 0.8) < 0.01
    assert with_quantiles["weighted_quantile_loss"] < 0.9 * alone["weighted_quantile_loss"]
    assert with_quantiles["mase"] == alone["mase"]
