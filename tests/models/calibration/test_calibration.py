"""Calibrated quantiles have the coverage that they claim, in simulated nights, and never cross."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.special import ndtri

from models.calibration.calibration import Calibration
from models.calibration.estimate import calibration_of
from models.calibration.evaluation_counts import EvaluationCounts, group_of, groups_of
from models.calibration.evidence import Evidence
from models.panel.forecast import Forecast, mean_of_quantiles

LEVELS = np.array([0.1, 0.25, 0.5, 0.75, 0.9])
NOMINAL = ndtri(LEVELS)
HORIZON = 3
IDS = np.array([f"s{number:02}" for number in range(40)])
ALONE = np.zeros(len(IDS), np.int64)


def evaluations_of(actual, raw, nights, *, published=None, by=None, evidence=None, half_life=1e6, rate=0.0):
    """Evidence of some evaluations, each of one night with all its steps; `actual(night)` has shape (series,
    horizon)."""
    evidence = evidence or Evidence.empty(LEVELS, HORIZON)
    by = by or Calibration.identity(LEVELS, HORIZON, IDS)
    quantiles = raw if published is None else published
    series, step = (each.ravel() for each in np.indices((len(IDS), HORIZON)))
    for night in range(nights):
        evaluation = EvaluationCounts(night, LEVELS, HORIZON, IDS)
        evaluation.add(series, step, actual(night).ravel(), quantiles.reshape(-1, len(LEVELS)), by)
        evidence = evidence.updated(evaluation, half_life, rate, np.ones(HORIZON) if rate else None)
    return evidence


@pytest.fixture
def random():
    return np.random.default_rng(0)


RAW = np.broadcast_to(10 + NOMINAL, (len(IDS), HORIZON, len(LEVELS)))


def held(calibration, draw, raw=RAW):
    """The share of new actuals at or below each calibrated quantile."""
    quantiles = calibration.quantiles(raw)
    return np.mean([(draw()[..., None] <= quantiles).mean(axis=(0, 1)) for _ in range(200)], axis=0)


def test_quantiles_that_were_too_narrow_cover_what_they_claim(random):
    def draw(night=0):
        return 10 + 2.0 * random.standard_normal((len(IDS), HORIZON))

    assert np.abs(held(Calibration.identity(LEVELS, HORIZON, IDS), draw) - LEVELS).max() > 0.1
    made = calibration_of(evaluations_of(draw, RAW, 60), IDS, ALONE)
    assert np.abs(held(made, draw) - LEVELS).max() < 0.01
    assert made.description.startswith("the 80 % interval is widened by 98 %")
    assert "it would have covered 48 % of the actuals of 60 evaluations" in made.description


def test_steps_are_calibrated_apart(random):
    width = np.array([0.5, 1.0, 3.0])

    def draw(night=0):
        return 10 + width * random.standard_normal((len(IDS), HORIZON))

    made = calibration_of(evaluations_of(draw, RAW, 200), IDS, ALONE)
    np.testing.assert_allclose(np.diff(made.positions[:, [0, -1]])[:, 0] / np.ptp(NOMINAL), width, rtol=0.08)


def test_series_that_are_wider_than_others_get_wider_quantiles(random):
    width = np.where(np.arange(len(IDS)) < 20, 0.5, 2.0)[:, None]

    def draw(night=0):
        return 10 + width * random.standard_normal((len(IDS), HORIZON))

    evidence, made = Evidence.empty(LEVELS, HORIZON), Calibration.identity(LEVELS, HORIZON, IDS)
    series, step = (each.ravel() for each in np.indices((len(IDS), HORIZON)))
    for night in range(150):
        evaluation = EvaluationCounts(night, LEVELS, HORIZON, IDS)
        evaluation.add(series, step, draw().ravel(), made.quantiles(RAW).reshape(-1, 5), made)
        evidence = evidence.updated(evaluation, 30, 0.0, None)
        made = calibration_of(evidence, IDS, ALONE)
    quantiles = made.quantiles(RAW)
    for half in (slice(0, 20), slice(20, 40)):
        found = np.mean([(draw()[half, :, None] <= quantiles[half]).mean(axis=(0, 1)) for _ in range(400)], axis=0)
        assert np.abs(found - LEVELS).max() < 0.03


def test_a_new_series_is_as_its_pool(random):
    width = np.where(np.arange(len(IDS)) < 20, 0.5, 2.0)[:, None]
    evidence = evaluations_of(lambda _: 10 + width * random.standard_normal((len(IDS), HORIZON)), RAW, 100)
    ids = np.array([*IDS, "t"])
    made = calibration_of(evidence, ids, np.array([0] * 20 + [1] * 20 + [1]))
    alone = calibration_of(evidence, ids, np.zeros(41, np.int64))
    assert made.stretch[-1] == pytest.approx(made.stretch[20:40].mean(), rel=0.2)
    assert alone.stretch[-1] == pytest.approx(1.0)


def test_little_evidence_changes_little(random):
    nothing = calibration_of(Evidence.empty(LEVELS, HORIZON), IDS, ALONE)
    np.testing.assert_allclose(nothing.quantiles(RAW), RAW, atol=1e-6)
    assert nothing.description == ""
    few = evaluations_of(lambda _: 10 + 2 * random.standard_normal((len(IDS), HORIZON)), RAW, 2)
    assert np.abs(calibration_of(few, IDS, ALONE).quantiles(RAW) - RAW).max() < 0.25


def test_forecasts_that_are_right_stay_as_they_are(random):
    made = calibration_of(
        evaluations_of(lambda _: 10 + random.standard_normal((len(IDS), HORIZON)), RAW, 150), IDS, ALONE
    )
    assert np.abs(made.positions - NOMINAL).max() < 0.06
    assert np.abs(np.log(made.stretch)).max() < 0.1


def test_evidence_is_of_the_networks_own_quantiles_not_of_the_published_ones(random):
    actual = 10 + 2 * random.standard_normal((30, len(IDS), HORIZON))
    by = Calibration(LEVELS, 1.7 * np.tile(NOMINAL, (HORIZON, 1)) + 0.1, IDS, np.linspace(0.8, 1.2, 40))
    raw = evaluations_of(lambda night: actual[night], RAW, 30)
    undone = evaluations_of(lambda night: actual[night], RAW, 30, published=by.quantiles(RAW), by=by)
    np.testing.assert_allclose(undone.series, raw.series, rtol=1e-6, atol=1e-6)


def test_newer_evaluations_weigh_more():
    wide = evaluations_of(lambda _: np.full((len(IDS), HORIZON), 13.0), RAW, 10, half_life=10)
    both = evaluations_of(lambda _: np.full((len(IDS), HORIZON), 7.0), RAW, 10, evidence=wide, half_life=10)
    shares = both.counts[0] / both.counts[0].sum()
    assert shares[:80].sum() == pytest.approx(2 / 3, abs=1e-6)


def test_levels_that_held_too_much_are_moved_until_they_hold_what_they_say(random):
    """Without any weight on the shares themselves, by what was covered alone."""
    evidence, width = Evidence.empty(LEVELS, HORIZON), 1.0
    series, step = (each.ravel() for each in np.indices((len(IDS), HORIZON)))
    below = []
    for night in range(400):
        positions = np.maximum.accumulate(NOMINAL + evidence.drift, axis=1) + 1e-9 * np.arange(5)
        by = Calibration(LEVELS, positions, IDS, np.ones(40))
        published = by.quantiles(RAW)
        width = 1.0 if night < 100 else 2.0
        actual = 10 + width * random.standard_normal((len(IDS), HORIZON))
        below.append((actual[..., None] <= published).mean(axis=(0, 1)))
        evaluation = EvaluationCounts(night, LEVELS, HORIZON, IDS)
        evaluation.add(series, step, actual.ravel(), published.reshape(-1, 5), by)
        evidence = evidence.updated(evaluation, 60, 0.1, np.ones(HORIZON))
    assert np.abs(np.mean(below[-200:], axis=0) - LEVELS).max() < 0.01
    assert np.abs(np.mean(below, axis=0) - LEVELS).max() < 0.02


def test_counts_with_many_zeros_stay_counts(random):
    """Two thirds of the days are zero, half of them by the forecast; no quantile is below zero, that at 2/3 is zero."""
    levels = np.array([0.1, 0.5, 0.6, 0.75, 0.9])
    quantiles = np.tile([0.0, 0.0, 1.0, 3.0, 6.0], (len(IDS), HORIZON, 1))
    by = Calibration.identity(levels, HORIZON, IDS, (0.0, None))
    series, step = (each.ravel() for each in np.indices((len(IDS), HORIZON)))
    evidence = Evidence.empty(levels, HORIZON)

    def draw():
        return np.where(random.random((len(IDS), HORIZON)) < 2 / 3, 0.0, random.uniform(0, 8, (len(IDS), HORIZON)))

    for night in range(150):
        evaluation = EvaluationCounts(night, levels, HORIZON, IDS)
        evaluation.add(series, step, draw().ravel(), quantiles.reshape(-1, 5), by)
        evidence = evidence.updated(evaluation, 1e6, 0.0, None)
    made = calibration_of(evidence, IDS, ALONE, (0.0, None)).quantiles(quantiles)
    assert made.min() == 0.0
    assert made[..., 2].max() < 0.1
    found = np.mean([(draw()[..., None] <= made).mean(axis=(0, 1)) for _ in range(300)], axis=0)
    assert np.abs(found - levels)[3:].max() < 0.02


def test_a_constant_series_stays_constant(random):
    evidence = evaluations_of(lambda _: 10 + 3 * random.standard_normal((len(IDS), HORIZON)), RAW, 40)
    made = calibration_of(evidence, IDS, ALONE)
    flat = np.full(RAW.shape, 5.0)
    np.testing.assert_array_equal(made.quantiles(flat), flat)
    evaluation = EvaluationCounts(0, LEVELS, HORIZON, IDS)
    evaluation.add(
        np.zeros(1, int), np.zeros(1, int), np.array([9.0]), flat[0, :1], Calibration.identity(LEVELS, HORIZON, IDS)
    )
    assert not evaluation.counts.any()


@given(
    arrays.arrays(np.float64, (4, HORIZON, 5), elements=st.floats(-100, 100)),
    arrays.arrays(np.float64, (HORIZON, 5), elements=st.floats(-8, 8)),
    arrays.arrays(np.float64, 4, elements=st.floats(1 / 3, 3)),
)
def test_quantiles_never_cross_nor_leave_the_bounds(quantiles, positions, stretch):
    positions = np.sort(positions, axis=1) + 1e-9 * np.arange(5)
    made = Calibration(LEVELS, positions, IDS[:4], stretch, (-20.0, 50.0))
    found = made.quantiles(np.sort(quantiles, axis=-1))
    assert (np.diff(found, axis=-1) >= 0).all()
    assert found.min() >= -20.0
    assert found.max() <= 50.0


@given(st.lists(st.floats(0, 1), min_size=30, max_size=30), st.integers(0, 200), st.floats(0, 1.5))
def test_any_evidence_gives_rising_positions(shares, evaluations, drift):
    empty = Evidence.empty(LEVELS, HORIZON)
    counts = empty.counts.copy()
    counts[:, 60:90] = evaluations * np.array(shares) / max(sum(shares), 1e-9)
    evidence = replace(
        empty,
        counts=counts,
        evaluations=counts.sum(axis=1),
        points=counts.sum(axis=1),
        drift=np.tile(drift * np.array([-1, 1, -1, 1, -1.0]), (HORIZON, 1)),
    )
    assert (np.diff(calibration_of(evidence, IDS, ALONE).positions, axis=1) > 0).all()


def test_only_the_models_forecasts_are_calibrated_and_their_means_follow():
    made = Calibration(LEVELS, 2 * np.tile(NOMINAL, (HORIZON, 1)) + 0.5, IDS[:2], np.ones(2), (0.0, None))
    quantiles = RAW[:2].copy()
    forecast = Forecast(
        series_ids=IDS[:2],
        quantile_levels=LEVELS,
        quantiles=quantiles,
        mean=np.full((2, HORIZON), 10.0),
        baseline=np.full((2, HORIZON), 9.0),
        source=np.array(["model", "fallback"]),
        reason=np.array(["", "too short"]),
    )
    found = made.calibrated(forecast)
    np.testing.assert_array_equal(found.quantiles[1], quantiles[1])
    np.testing.assert_allclose(found.quantiles[0], np.tile(10.5 + 2 * NOMINAL, (HORIZON, 1)))
    np.testing.assert_allclose(found.mean[0], mean_of_quantiles(found.quantiles[0], LEVELS))
    assert found.mean[1].tolist() == [10.0] * HORIZON


def test_what_is_kept_comes_back(random):
    evidence = evaluations_of(lambda _: 10 + random.standard_normal((len(IDS), HORIZON)), RAW, 5)
    again = Evidence.from_arrays(evidence.arrays())
    made, same = calibration_of(evidence, IDS, ALONE, (0.0, None)), calibration_of(again, IDS, ALONE, (0.0, None))
    np.testing.assert_allclose(made.positions, same.positions, atol=1e-6)
    kept = Calibration.from_arrays(made.arrays())
    assert kept.bounds == (0.0, None)
    np.testing.assert_allclose(kept.stretch, made.stretch, rtol=1e-6)


def test_evidence_serves_other_levels_and_horizons(random):
    evidence = evaluations_of(lambda _: 10 + 2 * random.standard_normal((len(IDS), HORIZON)), RAW, 60)
    other = evidence.for_levels(np.array([0.05, 0.5, 0.95]), 5)
    made = calibration_of(other, IDS, ALONE)
    np.testing.assert_allclose(made.positions, np.tile(2 * ndtri([0.05, 0.5, 0.95]), (5, 1)), rtol=0.1, atol=0.1)


def test_long_horizons_count_neighbouring_steps_together():
    assert groups_of(28) == 28
    group = group_of(np.arange(200), 200)
    assert (group[0], group[-1], len(np.unique(group))) == (0, 63, 64)
