"""The rate of anomalies is held, whatever the forecasts are like, and many at once are not hidden."""

import numpy as np
import pytest
from scipy import stats

from models.anomalies.past_tails import BINS, MAX_NIGHTS, PastTails, bin_of, count_bins
from models.anomalies.tail_probability import tail_probability

LEVELS = np.array([0.05, 0.25, 0.5, 0.75, 0.95])
RATE = 0.01


def row(tails: np.ndarray, anomalies: int = 0, state: str = "ok") -> dict:
    return {"actuals": len(tails), "anomalies": anomalies, "state": state, "tail_counts": count_bins(tails)}


def held(distribution, width: float, nights: int = 80, series: int = 500, shock: int | None = None) -> list[dict]:
    """Nights of actuals that are drawn from a distribution, while forecasts are `width` times as wide as it."""
    rng, rows = np.random.default_rng(1), list[dict]()
    quantiles = np.tile(distribution.ppf(LEVELS) * width, (series, 1))
    for night in range(nights):
        actual = distribution.rvs(series, random_state=rng) + (50.0 if night == shock else 0.0)
        tails = tail_probability(actual, quantiles, LEVELS)[0]
        past = PastTails.of(rows[::-1], RATE)
        anomalies = int((past.probability(tails) <= RATE).sum())
        rows.append(row(tails, anomalies, "many" if past.is_many(anomalies, series) else "ok"))
    return rows


def share(rows: list[dict]) -> float:
    return sum(each["anomalies"] for each in rows) / sum(each["actuals"] for each in rows)


@pytest.mark.parametrize("width", [0.6, 1.0, 1.6])
@pytest.mark.parametrize("distribution", [stats.norm(), stats.t(3)], ids=["normal", "heavy tails"])
def test_the_asked_rate_is_held_by_forecasts_of_the_right_and_the_wrong_width(distribution, width):
    rows = held(distribution, width)
    # Of 30,000 actuals 300 are asked for; chance alone would be 34 off in one of twenty such years.
    assert share(rows[20:]) == pytest.approx(RATE, rel=0.25)


def test_a_shift_of_the_whole_panel_is_all_anomalies_and_hides_no_later_one():
    rows = held(stats.norm(), 1.0, shock=60)
    assert rows[60]["anomalies"] == 500
    assert [night for night, each in enumerate(rows) if each["state"] == "many"] == [60]
    assert share(rows[61:]) == pytest.approx(RATE, rel=0.5)


def test_where_every_night_is_many_all_of_them_count():
    tails = np.full(100, 1e-6)
    few = [row(np.linspace(0.01, 1, 100)) for _ in range(30)]
    rare = PastTails.of([row(tails, 100, "many"), *few], RATE)
    usual = PastTails.of([*(row(tails, 100, "many") for _ in range(10)), *few], RATE)
    assert rare.probability(np.array([1e-6]))[0] < RATE
    assert usual.probability(np.array([1e-6]))[0] > 0.2


def test_without_a_past_the_probability_is_that_of_the_forecast():
    past = PastTails.of([], 0.001)
    given = np.array([1.0, 0.3, 0.01, 1e-4, 1e-9])
    assert past.probability(given) == pytest.approx(given, rel=0.1)
    assert (past.dispersion, past.is_many(2, 10), past.is_many(3, 10)) == (1.0, False, True)
    assert np.isnan(past.probability(np.array([np.nan]))).all()


def test_further_out_is_never_more_probable():
    rng = np.random.default_rng(2)
    past = PastTails.of([row(rng.uniform(size=3_000) ** 2) for _ in range(5)], RATE)
    found = past.probability(10 ** -np.linspace(0, 12, 500))
    assert (np.diff(found) <= 0).all()
    assert found[0] == 1.0


def test_how_nights_differ_says_how_many_anomalies_are_too_many():
    tails = np.linspace(0.001, 1, 1_000)
    even = PastTails.of([row(tails, 10) for _ in range(100)], RATE)
    uneven = PastTails.of([row(tails, 40 if night % 4 == 0 else 0) for night in range(100)], RATE)
    assert even.dispersion == 1.0
    assert uneven.dispersion > 20
    limit = int(stats.binom.isf(0.001, 1_000, RATE)) + 1
    assert (even.is_many(limit, 1_000), even.is_many(limit - 1, 1_000)) == (True, False)
    assert not uneven.is_many(limit, 1_000)


def test_nights_that_are_long_past_do_not_count():
    # 3,000 expected anomalies a night are enough; the sixty newest are looked at in any case.
    old = [row(np.full(300_000, 1e-6))] * (MAX_NIGHTS - 60)
    new = [row(np.linspace(1e-5, 1, 300_000))] * 60
    assert PastTails.of([*new, *old], RATE).probability(np.array([1e-6]))[0] < 1e-5


def test_bins_cover_every_probability():
    assert bin_of(np.array([1.0, 1e-12, 0.0])).tolist() == [0, BINS - 1, BINS - 1]
