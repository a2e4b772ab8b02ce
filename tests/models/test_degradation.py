"""The rule on losses whose course is known."""

from __future__ import annotations

import numpy as np
import pytest

from models.degradation import judge
from models.settings import MonitorSettings

SETTINGS = MonitorSettings()
NIGHTS = SETTINGS.min_nights + SETTINGS.window


def noisy(nights: int, seed: int = 0) -> np.ndarray:
    """Losses near 1, with a tenth of noise."""
    return np.exp(np.random.default_rng(seed).normal(0, 0.1, nights))


def test_steady_losses_are_ok() -> None:
    verdict = judge(noisy(60), np.ones(60), SETTINGS)

    assert verdict.state == "ok"
    assert verdict.statistic < verdict.limit
    assert verdict.onset is None
    assert verdict.reason == ""


def test_a_step_is_degraded_with_its_size_and_its_first_night() -> None:
    losses = noisy(60)
    losses[50:] *= 2

    verdict = judge(losses, np.ones(60), SETTINGS)

    assert verdict.state == "degraded"
    assert verdict.effect == pytest.approx(1.0, abs=0.3)
    assert verdict.onset == 50


def test_the_statistic_and_the_limit_are_those_worked_by_hand() -> None:
    settings = MonitorSettings(min_nights=5, window=3, threshold=2.0)
    # Log ratios 0, 1, 2, 3, 4 in the past: median 2, median absolute deviation 1. Recently 6, 7, 8.
    ratios = np.array([0, 1, 2, 3, 4, 6, 7, 8.0])
    # Losses so large that the floor of a hundredth of the baseline is felt in the second digit only.
    verdict = judge(np.exp(ratios) * 1e6, np.full(8, 1e6), settings)

    assert verdict.statistic == pytest.approx(7, abs=0.02)
    assert verdict.limit == pytest.approx(2 + 2 * 1.4826, abs=0.03)
    assert verdict.effect == pytest.approx(np.expm1(5), rel=0.02)
    assert (verdict.state, verdict.onset) == ("degraded", 5)


def test_series_that_got_harder_for_everyone_are_no_degradation() -> None:
    harder = np.where(np.arange(60) < 50, 1.0, 3.0)

    assert judge(noisy(60) * harder, harder, SETTINGS).state == "ok"


def test_units_do_not_matter() -> None:
    losses = noisy(60)
    losses[50:] *= 1.5

    small, large = (judge(losses * unit, np.full(60, unit), SETTINGS) for unit in (1e-9, 1e9))

    assert small.state == large.state == "degraded"
    assert small.statistic == pytest.approx(large.statistic)


def test_a_sure_but_small_change_is_not_worth_a_message() -> None:
    losses = np.where(np.arange(60) < 50, 1.0, 1.03)

    verdict = judge(losses, np.ones(60), SETTINGS)

    assert verdict.statistic > verdict.limit
    assert verdict.effect == pytest.approx(0.03, abs=0.001)
    assert verdict.state == "ok"


def test_one_bad_night_is_no_degradation() -> None:
    losses = noisy(60)
    losses[-1] = 50

    assert judge(losses, np.ones(60), SETTINGS).state == "ok"


def test_an_improvement_is_no_degradation() -> None:
    losses = noisy(60)
    losses[50:] /= 3

    verdict = judge(losses, np.ones(60), SETTINGS)

    assert verdict.state == "ok"
    assert verdict.effect < 0


def test_a_drift_that_was_said_to_be_degraded_does_not_become_normal() -> None:
    losses = np.exp(np.concatenate([np.zeros(40), np.linspace(0, 1, 60)])) * noisy(100)
    told: list[str] = []
    forgetful: list[str] = []
    for night in range(100):
        seen, baseline = losses[: night + 1], np.ones(night + 1)
        told.append(judge(seen, baseline, SETTINGS, [*told, ""]).state)
        forgetful.append(judge(seen, baseline, SETTINGS).state)

    assert told[: NIGHTS - 1] == ["not evaluated"] * (NIGHTS - 1)
    assert set(told[NIGHTS - 1 : 40]) == {"ok"}
    assert set(told[-20:]) == {"degraded"}
    # Without the states the drift enters its own measure, and the alarm goes off and on.
    assert "ok" in forgetful[-20:]


def test_a_recovery_is_ok_again_once_most_of_the_recent_nights_are() -> None:
    losses = np.concatenate([noisy(30), 3 * noisy(10, 1), noisy(5, 2)])
    states = ["ok"] * 30 + ["degraded"] * 14 + [""]

    assert judge(losses[:41], np.ones(41), SETTINGS, [*states[:40], ""]).state == "degraded"
    assert judge(losses, np.ones(45), SETTINGS, states).state == "ok"


def test_nothing_is_said_before_enough_nights_have_passed() -> None:
    before, after = (judge(noisy(nights), np.ones(nights), SETTINGS) for nights in (NIGHTS - 1, NIGHTS))

    assert before.state == "not evaluated"
    assert before.reason == "13 nights to compare with, 14 needed"
    assert np.isnan([before.statistic, before.limit, before.effect]).all()
    assert after.state == "ok"


@pytest.mark.parametrize("missing", [np.nan, np.inf])
def test_a_night_without_a_loss_is_not_evaluated(missing: float) -> None:
    losses, baseline = noisy(60), np.ones(60)
    losses[-1] = missing

    assert judge(losses, baseline, SETTINGS).reason == "no loss tonight"
    assert judge(baseline, losses, SETTINGS).reason == "no loss tonight"
    assert judge(np.array([]), np.array([]), SETTINGS).state == "not evaluated"


def test_too_few_recent_nights_with_a_loss_are_not_evaluated() -> None:
    losses = noisy(60)
    losses[-7:-3] = np.nan

    assert judge(losses, np.ones(60), SETTINGS).reason == "3 of the 7 recent nights have a loss"


def test_nights_without_a_loss_are_left_out_of_the_past() -> None:
    losses = noisy(60)
    losses[5:40:2] = np.nan

    assert judge(losses, np.ones(60), SETTINGS).state == "ok"


@pytest.mark.parametrize(("loss", "state"), [(0.0, "ok"), (5.0, "degraded")])
def test_a_baseline_that_is_always_right_leaves_the_models_own_loss(loss: float, state: str) -> None:
    losses = np.where(np.arange(60) < 50, 0.1, loss)

    assert judge(losses, np.zeros(60), SETTINGS).state == state


def test_losses_that_are_all_zero_are_ok() -> None:
    assert judge(np.zeros(60), np.zeros(60), SETTINGS).state == "ok"


def test_histories_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\[3, 2\]"):
        judge(np.ones(3), np.ones(2), SETTINGS)
    with pytest.raises(ValueError, match=r"\[3, 3, 1\]"):
        judge(np.ones(3), np.ones(3), SETTINGS, ["ok"])
