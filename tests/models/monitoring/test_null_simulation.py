"""Simulated years beside processes whose course is known."""

from __future__ import annotations

import numpy as np
import pytest

from models.monitoring.null_simulation import GRID, likelihoods, simulate_nights


def following(autocorrelation: float, nights: int, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    values = random.normal(size=nights + 50)
    for night in range(1, nights + 50):
        values[night] = autocorrelation * values[night - 1] + np.sqrt(1 - autocorrelation**2) * values[night]
    return values[50:]


def drawn_from(nights: np.ndarray, count: int, length: int, seed: int) -> np.ndarray:
    return simulate_nights(nights, np.arange(len(nights)) % 7, count, length, seed)


@pytest.mark.parametrize("autocorrelation", [0.0, 0.5, 0.8])
def test_means_of_simulated_nights_stray_as_those_of_the_process_do_or_a_little_further(autocorrelation: float) -> None:
    # Of a month's mean, by the formula for an autoregression of order one.
    lags = np.arange(1, 28)
    expected = np.sqrt((1 + 2 * ((1 - lags / 28) * autocorrelation**lags).sum()) / 28)

    strayed = [
        drawn_from(following(autocorrelation, 400, seed), 500, 28, seed=0).mean(axis=1).std() for seed in range(5)
    ]

    # What a few hundred nights do not tell must make limits wider, not narrower.
    assert 0.95 * expected < np.mean(strayed) < 1.35 * expected


def test_a_wander_beside_noise_is_not_taken_for_noise() -> None:
    values = np.sqrt(0.6) * following(0.0, 400, 1) + np.sqrt(0.4) * following(0.95, 400, 2)

    short, lasting, share = (likelihoods(values) / likelihoods(values).sum()) @ GRID

    assert short < 0.2
    assert lasting > 0.88
    assert share == pytest.approx(0.4, abs=0.2)


def test_simulated_nights_have_the_spread_of_the_jobs_own_and_worse_nights_than_a_few_months_had() -> None:
    nights = np.random.default_rng(0).standard_t(4, 200)

    drawn = drawn_from(nights, 2000, 50, seed=0)

    assert np.quantile(drawn, [0.1, 0.5, 0.9]) == pytest.approx(np.quantile(nights, [0.1, 0.5, 0.9]), abs=0.15)
    # Of Student's t with 4 degrees of freedom a thousandth lies beyond 7.17.
    assert np.quantile(drawn, 0.999) == pytest.approx(7.17, rel=0.25)


def test_days_of_the_week_that_vary_more_do_so_in_simulated_weeks() -> None:
    nights = np.random.default_rng(1).normal(size=210) * np.where(np.arange(210) % 7 == 5, 3.0, 1.0)

    drawn = drawn_from(nights, 500, 70, seed=0)

    by_day = drawn.reshape(500, 10, 7).std(axis=(0, 1))
    assert by_day[5] / np.delete(by_day, 5).mean() == pytest.approx(3.0, rel=0.3)


def test_the_same_seed_draws_the_same_nights_after_any_other_draw() -> None:
    nights = following(0.5, 180, 3)
    first = drawn_from(nights, 10, 30, seed=1)
    drawn_from(nights, 7, 60, seed=2)

    assert (drawn_from(nights, 10, 30, seed=1) == first).all()
    assert not (drawn_from(nights, 10, 30, seed=2) == first).all()


@pytest.mark.parametrize("nights", [np.zeros(40), np.array([0.0, 1.0] * 20), np.array([1.0, 2.0, 3.0])])
def test_nights_that_are_alike_have_no_order_of_their_own(nights: np.ndarray) -> None:
    drawn = drawn_from(nights, 5, 40, seed=0)

    assert drawn.shape == (5, 40)
    assert np.isfinite(drawn).all()
    assert (np.ptp(drawn) == 0) == (np.ptp(nights) == 0)
