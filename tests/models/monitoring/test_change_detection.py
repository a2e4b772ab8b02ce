"""The control chart on nights whose course is known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from models.monitoring.change_detection import RENEWED, Nights, Sensitivity, Verdict, judge, judge_both_sides, log_ratio
from models.settings.monitoring import MonitorSettings

SETTINGS = MonitorSettings()
LOSS = Sensitivity(np.log1p(SETTINGS.tolerance), np.log1p(SETTINGS.min_effect))
# Of years in which chance may raise an alert.
RATE = 0.1
HINDCAST = SETTINGS.reference_nights


def noisy(nights: int, seed: int, deviation: float = 0.05) -> np.ndarray:
    """Log ratios near -0.5 that follow one another, with heavy tails and a cycle of a week."""
    random = np.random.default_rng(seed)
    shocks = random.standard_t(4, nights + 50) / np.sqrt(2)
    values = np.zeros(nights + 50)
    for night in range(1, nights + 50):
        values[night] = 0.3 * values[night - 1] + 0.95 * shocks[night]
    return -0.5 + deviation * values[50:] + 0.04 * np.sin(2 * np.pi * np.arange(nights) / 7)


def nights_of(values: np.ndarray, degraded: Sequence[int] | None = None, **facts: int) -> Nights:
    states = np.zeros(len(values), np.int64) if degraded is None else np.array([*degraded, 0])
    return Nights(values, np.arange(len(values)) % 7, states, **{"hindcast": HINDCAST, **facts})


def live(values: np.ndarray) -> Iterator[Verdict]:
    """The verdict of each live night, each with the states reported before."""
    degraded = [False] * HINDCAST
    for night in range(HINDCAST, len(values)):
        verdict = judge(nights_of(values[: night + 1], degraded), SETTINGS, LOSS, RATE)
        degraded.append(verdict.state == "degraded")
        yield verdict


@pytest.mark.parametrize("seed", range(3))
def test_a_stable_year_raises_no_alert(seed: int) -> None:
    assert {verdict.state for verdict in live(noisy(HINDCAST + 365, seed))} == {"ok"}


@pytest.mark.parametrize(("worse", "most"), [(0.1, 21), (0.2, 8), (0.5, 5)])
@pytest.mark.parametrize("seed", range(3))
def test_a_lasting_rise_is_found_within_nights_with_its_size_and_its_beginning(
    seed: int, worse: float, most: int
) -> None:
    values = noisy(HINDCAST + 80, seed)
    values[HINDCAST + 40 :] += np.log1p(worse)

    verdicts = list(live(values))

    first = next(night for night, verdict in enumerate(verdicts) if verdict.state == "degraded")
    assert 40 < first <= 40 + most
    assert abs(verdicts[-1].onset - HINDCAST - 40) <= 5
    assert np.expm1(verdicts[-1].effect) == pytest.approx(worse, abs=0.04)


def test_a_slow_drift_is_found_and_does_not_join_the_reference() -> None:
    values = noisy(HINDCAST + 200, 1)
    values[HINDCAST + 40 :] += np.linspace(0, 0.4, 160)

    states = [verdict.state for verdict in live(values)]

    assert "degraded" not in states[:40]
    assert states.index("degraded") < 100
    assert set(states[-60:]) == {"degraded"}


def test_a_recovery_ends_it_within_a_week_and_a_half() -> None:
    values = noisy(HINDCAST + 100, 2)
    values[HINDCAST + 40 : HINDCAST + 60] += np.log(1.3)

    states = [verdict.state for verdict in live(values)]

    assert states[59] == "degraded"
    assert set(states[70:]) == {"ok"}


@pytest.mark.parametrize("seed", range(3))
def test_one_night_however_bad_is_no_degradation(seed: int) -> None:
    values = noisy(HINDCAST + 60, seed)
    values[HINDCAST + 50] += 3

    assert {verdict.state for verdict in live(values)} == {"ok"}


def test_an_improvement_is_no_degradation() -> None:
    values = noisy(HINDCAST + 60, 0)
    values[HINDCAST + 40 :] -= 1

    *_, last = live(values)

    assert (last.state, last.onset) == ("ok", None)
    assert last.effect == pytest.approx(-1, abs=0.1)


def test_a_sure_but_small_change_is_not_worth_a_message() -> None:
    values = noisy(HINDCAST + 100, 0, deviation=0.002)
    values[HINDCAST + 40 :] += np.log(1.045)

    *_, last = live(values)

    assert last.statistic == pytest.approx(np.log(1.045) / LOSS.min_effect, abs=0.02)
    assert last.state == "ok"


def test_scaling_all_losses_by_a_constant_changes_nothing() -> None:
    losses = np.exp(noisy(HINDCAST + 60, 3))
    losses[-15:] *= 1.3
    naive = np.exp(np.random.default_rng(4).normal(0, 0.3, len(losses)))

    small, large = (
        judge(nights_of(log_ratio(losses * naive * unit, naive * unit)), SETTINGS, LOSS, RATE) for unit in (1e-6, 1e6)
    )

    assert small.state == large.state == "degraded"
    assert small.onset == large.onset
    assert [*small[1:3]] == pytest.approx([*large[1:3]])


def test_series_that_got_harder_for_everyone_are_no_degradation() -> None:
    harder = np.where(np.arange(HINDCAST + 60) < HINDCAST + 30, 1.0, 3.0)
    ratio = log_ratio(np.exp(noisy(HINDCAST + 60, 0)) * harder, harder)

    assert judge(nights_of(ratio), SETTINGS, LOSS, RATE).state == "ok"


def test_missing_nights_change_neither_that_a_rise_is_found_nor_that_calm_is_calm() -> None:
    calm = noisy(HINDCAST + 90, 5)
    calm[np.random.default_rng(6).random(len(calm)) < 0.15] = np.nan
    calm = np.concatenate([noisy(40, 7), calm])
    calm[-1] = -0.5
    worse = calm.copy()
    worse[-30:] += np.log(1.2)

    assert judge(nights_of(calm, hindcast=HINDCAST + 40), SETTINGS, LOSS, RATE).state == "ok"
    assert judge(nights_of(worse, hindcast=HINDCAST + 40), SETTINGS, LOSS, RATE).state == "degraded"


def test_a_night_without_a_figure_is_not_evaluated() -> None:
    values = noisy(HINDCAST + 20, 0)
    values[-1] = np.nan

    assert judge(nights_of(values), SETTINGS, LOSS, RATE).reason == "no figure tonight"
    assert (
        judge(Nights(np.array([]), np.array([], int), np.array([], bool)), SETTINGS, LOSS, RATE).state
        == "not evaluated"
    )


def test_nothing_is_evaluated_before_there_are_enough_nights_to_compare_with() -> None:
    verdict = judge(nights_of(noisy(179 + 5, 0), hindcast=179), SETTINGS, LOSS, RATE)

    assert verdict.state == "not evaluated"
    assert verdict.reason == "179 nights to compare with, 180 needed"
    assert np.isnan([verdict.statistic, verdict.effect, verdict.detectable_effect]).all()


def test_in_sample_nights_tell_the_spread_but_not_the_level() -> None:
    values = noisy(HINDCAST + 30, 1)
    # On what it has learnt from a model is better than it will ever be again.
    values[: HINDCAST - 40] -= 0.2

    fair = judge(nights_of(values, in_sample=HINDCAST - 40), SETTINGS, LOSS, RATE)
    fooled = judge(nights_of(values), SETTINGS, LOSS, RATE)
    unfit = judge(nights_of(values, in_sample=HINDCAST - 5), SETTINGS, LOSS, RATE)

    assert fair.state == "ok"
    assert fair.effect == pytest.approx(0, abs=0.05)
    assert fooled.effect > 0.1
    assert unfit.reason == "5 nights to compare with that the model had not learnt from, 14 needed"


def test_without_hindcasts_live_nights_are_the_reference_once_they_have_long_passed() -> None:
    needed = HINDCAST + RENEWED
    values = noisy(needed + 40, 2)

    before = judge(nights_of(values[:needed], hindcast=0), SETTINGS, LOSS, RATE)
    after = judge(nights_of(values, hindcast=0), SETTINGS, LOSS, RATE)

    assert (before.state, after.state) == ("not evaluated", "ok")


def test_what_is_detectable_is_mostly_found_within_three_weeks() -> None:
    found = []
    for seed in range(10):
        values = noisy(HINDCAST + 90, seed)
        calm = judge(nights_of(values), SETTINGS, LOSS, RATE)
        values[-20:] += calm.detectable_effect
        found.append(judge(nights_of(values), SETTINGS, LOSS, RATE).state)

    assert found.count("degraded") >= 6
    assert LOSS.min_effect <= calm.detectable_effect < 0.3


def test_a_bias_is_found_either_way_with_its_sign() -> None:
    sensitivity = Sensitivity(0.03, 0.1)
    for sign in (-1, 1):
        values = 0.05 * np.random.default_rng(0).normal(size=HINDCAST + 40)
        values[-12:] += 0.3 * sign

        verdict = judge_both_sides(nights_of(values), SETTINGS, sensitivity, RATE)

        assert verdict.state == "degraded"
        assert verdict.effect == pytest.approx(0.3 * sign, abs=0.05)


def test_an_alert_of_a_high_bias_is_over_where_the_bias_has_gone() -> None:
    sensitivity, states = Sensitivity(0.03, 0.1), [0] * HINDCAST
    values = 0.05 * np.random.default_rng(0).normal(size=HINDCAST + 60)
    values[HINDCAST + 10 : HINDCAST + 14] += 0.2

    for night in range(HINDCAST, len(values)):
        nights = nights_of(values[: night + 1], states)
        verdict = judge_both_sides(nights, SETTINGS, sensitivity, RATE)
        states.append(0 if verdict.state == "ok" else int(np.sign(verdict.effect)))

    reported = np.array(states[HINDCAST:])
    assert (reported == 1).any()
    assert not reported[20:].any()


@pytest.mark.parametrize(("loss", "state"), [(0.0, "ok"), (5.0, "degraded")])
def test_a_baseline_that_is_always_right_leaves_the_models_own_loss(loss: float, state: str) -> None:
    losses = np.where(np.arange(HINDCAST + 20) < HINDCAST + 10, 0.1, loss)

    assert judge(nights_of(log_ratio(losses, np.zeros(len(losses)))), SETTINGS, LOSS, RATE).state == state


def test_losses_that_are_all_zero_are_ok() -> None:
    nothing = np.zeros(HINDCAST + 20)

    assert judge(nights_of(log_ratio(nothing, nothing)), SETTINGS, LOSS, RATE).state == "ok"


def test_histories_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\[3, 2, 3\]"):
        Nights(np.ones(3), np.zeros(2, int), np.zeros(3, bool))
