"""Special days: those that differ, by what was known ahead, from the days that the seasonal naive repeats."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.calendar.grid import TimeGrid
from models.evaluation.special_days import SpecialDayCriteria, SpecialDays
from models.panel.panel import Panel

# 2 January 2025, so that 1 January lies within the history and 6 January, a holiday in Spain, within the horizon.
CUTOFF = TimeGrid("D").position(np.datetime64("2025-01-02").astype("M8[us]").item().replace(tzinfo=None))
HORIZON = 4


def panel_of(*known: tuple[list[float], list[float]], season: int = 2, **facts: object) -> Panel:
    """Series with one known-future covariate, given as its past and its future."""
    lengths = [len(past) for past, _ in known]
    return Panel(
        values=np.ones(sum(lengths), np.float32),
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        series_ids=np.array([f"s{i}" for i in range(len(known))]),
        frequency="D",
        cutoff_index=CUTOFF,
        season_lengths=(season,),
        horizon=HORIZON,
        known_future=np.concatenate([part for each in known for part in each]).astype(np.float32)[:, None],
        known_future_names=("promotion",),
        **facts,  # type: ignore[arg-type]
    )


def days_of(panel: Panel, *series_ids: np.ndarray) -> SpecialDays:
    return SpecialDays(panel, SpecialDayCriteria.choose(panel), *series_ids)


STEPS = np.arange(1, HORIZON + 1)


def test_a_day_is_special_where_what_was_known_ahead_differs_from_the_day_that_the_naive_repeats():
    # The naive repeats the last two days of the history for days 1 and 2, and again for 3 and 4.
    days = days_of(panel_of(([0, 0, 0, 0, 0, 1], [0, 1, 1, 0]), ([0, 0, 0, 1], [0, 1, 0, 1])))
    special = days.at(np.array([[0], [1]]), CUTOFF, STEPS)
    assert special.tolist() == [[False, False, True, True], [False, False, False, False]]


def test_the_special_days_of_a_past_night_depend_on_the_days_that_it_repeated():
    days = days_of(panel_of(([0, 0, 0, 0, 1, 0], [0, 0, 0, 0])))
    # Three days earlier the naive had only zeros; its second step was the promotion.
    assert days.at(np.array([0]), CUTOFF - 3, np.array([1])).tolist() == [False]
    assert days.at(np.array([0]), CUTOFF - 3, np.array([2])).tolist() == [True]
    # Two days later the promotion is what it repeats.
    assert days.at(np.array([0]), CUTOFF - 1, np.array([2])).tolist() == [True]


def test_a_day_is_not_special_where_a_covariate_is_unknown():
    days = days_of(panel_of(([0, 0, 0, 0, 0, np.nan], [1, 1, 0, np.nan])))
    assert days.at(np.array([0]), CUTOFF, STEPS).tolist() == [True, False, False, False]
    # The first day that it repeats lies before the series began.
    assert days.at(np.array([0]), CUTOFF - 6, np.array([1])).tolist() == [False]


def test_a_covariate_that_changes_with_every_season_makes_no_day_special():
    warmth = np.linspace(10, 20, 10).tolist()
    assert not days_of(panel_of((warmth[:6], warmth[6:]))).at(np.array([0]), CUTOFF, STEPS).any()
    # A price that changes once does.
    assert days_of(panel_of(([3.0] * 6, [2.5] * 4))).at(np.array([0]), CUTOFF, STEPS).all()


def test_a_public_holiday_is_special_unless_the_naive_repeats_a_holiday():
    plain = panel_of(([0.0] * 6, [0.0] * 4), season=1, holidays=("ES",))
    # 3, 4 and 5 January repeat the 2nd, the 6th is Epiphany.
    assert days_of(plain).at(np.array([0]), CUTOFF, STEPS).tolist() == [False, False, False, True]
    # 2 January repeats New Year's Day, 1 January New Year's Eve.
    assert days_of(plain).at(np.array([0]), CUTOFF - 1, np.array([1])).tolist() == [True]
    assert days_of(plain).at(np.array([0]), CUTOFF - 2, np.array([1])).tolist() == [True]
    five = replace(plain, season_lengths=(5,))
    assert days_of(five).at(np.array([0]), CUTOFF - 1, np.array([5])).tolist() == [False]


@pytest.mark.parametrize("holidays", [(), ("ES",)])
def test_for_series_that_the_panel_does_not_hold_only_public_holidays_are_special(holidays):
    panel = panel_of(([0.0] * 6, [1.0] * 4), season=1, holidays=holidays)
    days = days_of(panel, np.array(["all of them", "s0"]))
    expected = [False, False, False, bool(holidays)]
    assert days.at(np.array([0, 0, 0, 0]), CUTOFF, STEPS).tolist() == expected
    assert days.at(np.array([1, 1, 1, 1]), CUTOFF, STEPS).all()


def test_where_the_naive_skips_a_day_without_a_value_the_day_that_it_takes_is_compared():
    panel = panel_of(([0, 0, 0, 0, 1, 0], [0, 0, 0, 0]))
    assert days_of(panel).at(np.array([0]), CUTOFF, STEPS).tolist() == [True, False, True, False]
    closed = panel.values.copy()
    closed[4] = np.nan
    assert not days_of(replace(panel, values=closed)).at(np.array([0]), CUTOFF, STEPS).any()


def test_only_known_values_decide_whether_a_covariate_changes_with_every_season():
    warmth = [np.nan] * 40 + np.linspace(10, 20, 10).tolist()
    assert SpecialDayCriteria.choose(panel_of((warmth[:46], warmth[46:]))).columns == ()
    unknown = [np.nan] * 50
    assert SpecialDayCriteria.choose(panel_of((unknown[:46], unknown[46:]))).left_out == ("promotion",)


def test_criteria_hold_until_the_job_has_other_covariates_or_holidays():
    mostly = panel_of(([0, 0, 0, 1, 0, 0], [0, 0, 0, 0]), holidays=("ES",))
    criteria = SpecialDayCriteria.choose(mostly)
    assert criteria == SpecialDayCriteria(("promotion",), (), ("ES",))
    # A night that reads only a busy season would choose otherwise.
    busy = panel_of(([0, 0, 1, 1, 0, 0], [1, 1, 0, 0]), holidays=("ES",))
    assert SpecialDayCriteria.choose(busy).left_out == ("promotion",)
    assert SpecialDayCriteria.choose(busy, criteria.text) == criteria
    no_holidays, price = replace(busy, holidays=()), replace(mostly, known_future_names=("price",))
    assert SpecialDayCriteria.choose(no_holidays, criteria.text) == SpecialDayCriteria((), ("promotion",))
    assert SpecialDayCriteria.choose(price, criteria.text).columns == ("price",)


def test_a_job_without_covariates_and_holidays_has_no_special_days():
    plain = replace(panel_of(([0.0] * 6, [0.0] * 4)), known_future=None, known_future_names=())
    criteria = SpecialDayCriteria.choose(plain)
    assert criteria.text is None
    assert not SpecialDays(plain, criteria).at(np.array([0]), CUTOFF, STEPS).any()
    assert SpecialDayCriteria.choose(plain, SpecialDayCriteria(("promotion",)).text) == criteria
