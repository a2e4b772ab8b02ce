"""Evidence that may be looked at every night: how often it is wrong, and how soon it is right."""

from __future__ import annotations

import numpy as np
import pytest

from models.lifecycle.e_values import NO_EVIDENCE, EValues, e_values_of, held_out_e_values, stake, winnings
from models.settings.training import PromotionSettings

SETTINGS = PromotionSettings()
YEAR = 365


def nights(years: int, spread: float, together: float = 0.0, gain: float = 0.0, length: int = YEAR) -> np.ndarray:
    """Differences of nights, each going together with the one before; (years, night)."""
    rng = np.random.default_rng(5)
    found = rng.standard_normal((years, length))
    for night in range(1, length):
        found[:, night] = together * found[:, night - 1] + np.sqrt(1 - together**2) * found[:, night]
    return spread * found - np.log(1 - gain)


def first_at_20(of_years: np.ndarray) -> np.ndarray:
    """The night on which each year's bets first had 20, counted from 1; infinite where they never had."""
    enough = winnings(of_years) >= 20
    return np.where(enough.any(axis=1), enough.argmax(axis=1) + 1, np.inf)


def test_a_challenger_that_is_no_better_is_promoted_in_few_years_though_one_looks_every_night():
    assert np.isfinite(first_at_20(nights(200, spread=0.08))).mean() <= 0.05


def test_heavy_tails_and_a_changing_size_do_not_raise_false_evidence():
    rng = np.random.default_rng(3)
    wild = rng.standard_t(2, (100, YEAR)) * np.exp(np.sin(np.arange(YEAR) / 20))
    assert np.isfinite(first_at_20(0.05 * wild)).mean() <= 0.05


def test_nights_that_go_together_seldom_mislead_within_a_shadow():
    found = first_at_20(nights(400, spread=0.08, together=0.4, length=SETTINGS.nights))
    assert np.isfinite(found).mean() <= 0.05


def test_a_worse_challenger_is_never_promoted_and_soon_found_to_be_worse():
    worse = nights(50, spread=0.08, together=0.3, gain=-0.05)
    assert not np.isfinite(first_at_20(worse)).any()
    assert np.median(first_at_20(-worse)) <= SETTINGS.nights


@pytest.mark.parametrize(("spread", "within"), [(0.04, 14), (0.08, 21), (0.15, 35)])
def test_a_challenger_that_is_a_tenth_better_is_promoted_within_some_tens_of_nights(spread, within):
    found = first_at_20(nights(50, spread, together=0.3, gain=0.1, length=120))
    assert np.median(found) <= within


def test_evidence_of_nights_begins_with_that_of_the_held_out_steps_and_skips_nights_without_actuals():
    before = e_values_of([0.1, 0.1, 0.1, 0.1])
    assert before.e_value > 1
    assert before.champion_e_value == 1
    after = e_values_of([0.1, np.nan, 0.1, 0.1, np.nan, 0.1], held_out=EValues(3.0, 0.5))
    assert tuple(after) == (pytest.approx(3 * before.e_value), pytest.approx(0.5 * before.champion_e_value), 4)
    assert e_values_of([]) == NO_EVIDENCE == (1.0, 1.0, 0)


def test_the_bet_of_a_night_knows_nothing_of_that_night_or_later():
    rng = np.random.default_rng(0)
    one = rng.normal(0.05, 0.05, 30)
    other = one.copy()
    other[20:] = rng.normal(-1, 1, 10)
    assert winnings(one)[:20].tolist() == winnings(other)[:20].tolist()
    # Of the 21st night both bet the same share, whatever it brought: the outcome alone tells them apart.
    share = stake(np.full(20, 0.3))
    assert 0 < share <= 0.75


def test_the_first_night_bets_nothing_and_money_never_runs_out():
    assert winnings(np.array([-5.0]))[0] == 1
    assert winnings(np.concatenate([np.full(20, 0.1), np.full(20, -100.0)])).min() > 0


def steps(gain: float, days: int = 28, spread: float = 0.03, points: int = 100) -> np.ndarray:
    """Sums of each held-out day."""
    rng = np.random.default_rng(1)
    champion = rng.uniform(40, 60, days)
    loss = champion * (1 - gain) * np.exp(rng.normal(0, spread, days))
    return np.column_stack([np.full(days, points), loss, champion, np.full((days, 2), 0.9 * points)])


def test_held_out_steps_are_evidence_where_the_champion_is_clearly_worse():
    assert held_out_e_values(steps(0.3))[0] > 20
    assert held_out_e_values(steps(-0.3))[1] > 20
    assert max(held_out_e_values(steps(0.0))[:2]) < 3


def test_what_is_better_by_no_more_than_its_choice_on_those_steps_is_no_evidence():
    assert held_out_e_values(steps(0.01, spread=0.001))[0] < 20


@pytest.mark.parametrize("days", [0, 1, 4])
def test_too_few_held_out_steps_say_nothing(days):
    assert held_out_e_values(steps(0.5, days=days)) == NO_EVIDENCE


def test_held_out_steps_without_an_actual_say_nothing():
    nothing = steps(0.5)
    nothing[:, 0] = 0
    assert held_out_e_values(nothing) == NO_EVIDENCE
