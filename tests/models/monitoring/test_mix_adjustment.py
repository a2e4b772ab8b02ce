"""Losses relative to the naive's, less what an evaluation's case mix alone explains."""

from __future__ import annotations

import numpy as np
import pytest

from models.monitoring.change_detection import log_ratio
from models.monitoring.mix_adjustment import CaseMix, expected_log_ratio
from models.monitoring.signals import verdict_on
from models.settings.monitoring import MonitorSettings

POINTS = 2_000


def mix_of(share: np.ndarray, worse: np.ndarray | float = 1.0) -> CaseMix:
    """Evaluations with a share of special days; there the naive loses three times as much, the network a fifth more."""
    worse = np.broadcast_to(worse, share.shape)
    n, special = np.full(len(share), float(POINTS)), np.round(share * POINTS)
    same = n - special
    return CaseMix(
        n=n,
        loss=(same * 1.0 + special * 1.2) / n * worse,
        baseline_loss=(same * 2.0 + special * 6.0) / n,
        special_n=special,
        special_loss=np.where(special > 0, 1.2, np.nan) * worse,
        special_baseline_loss=np.where(special > 0, 6.0, np.nan),
    )


def test_a_mix_of_days_explains_the_whole_ratio_where_neither_kind_is_worse():
    share = np.random.default_rng(0).uniform(0, 0.5, 200)
    mix = mix_of(share)
    ratio = log_ratio(mix.loss, mix.baseline_loss)
    left = ratio - expected_log_ratio(mix, np.arange(150))
    assert np.ptp(ratio) > 0.5
    assert np.ptp(left) < 0.01
    # The reference mix is where it was.
    assert left.mean() == pytest.approx(np.log(mix.loss[:150].mean() / mix.baseline_loss[:150].mean()), abs=0.01)


def test_what_is_worse_on_either_kind_of_days_is_left():
    share = np.random.default_rng(1).uniform(0, 0.5, 200)
    worse = np.where(np.arange(200) < 150, 1.0, 1.2)
    mix = mix_of(share, worse)
    left = log_ratio(mix.loss, mix.baseline_loss) - expected_log_ratio(mix, np.arange(150))
    assert left[150:].mean() - left[:150].mean() == pytest.approx(np.log(1.2), abs=0.01)


def test_days_of_one_kind_and_evaluations_of_an_older_release_are_left_as_they_are():
    nothing = mix_of(np.zeros(20))
    assert expected_log_ratio(nothing, np.arange(20)).tolist() == [0.0] * 20
    assert expected_log_ratio(mix_of(np.ones(20)), np.arange(20)).tolist() == [0.0] * 20
    older = mix_of(np.linspace(0, 0.5, 20))
    older.special_n[:10] = np.nan
    moved = expected_log_ratio(older, np.arange(20))
    assert moved[:10].tolist() == [0.0] * 10
    assert np.ptp(moved[10:]) > 0.1


def test_a_few_points_move_little():
    share = np.array([0.0] * 99 + [0.01])
    few = mix_of(share)
    # Twenty points of three times the naive's mean loss, against 500 of the mean one.
    moved = expected_log_ratio(few, np.arange(100))
    assert abs(moved[-1]) < 0.001


def rows_of(mix: CaseMix) -> list[dict[str, object]]:
    names = ("n", "loss", "baseline_loss", "special_n", "special_loss", "special_baseline_loss")
    rest = {
        "special_definition": "promotions",
        "coverage": 0.8,
        "bias": 0.0,
        "instability": 0.2,
        "state": "ok",
        "other_signals": None,
        "in_sample": False,
    }
    return [
        {**rest, **dict(zip(names, map(float, evaluation), strict=True))}
        for evaluation in zip(*(getattr(mix, name) for name in names), strict=True)
    ]


@pytest.mark.parametrize(("worse", "state"), [(1.0, "ok"), (1.2, "degraded")])
def test_promotions_that_end_are_no_degradation_and_hide_none(worse, state):
    random = np.random.default_rng(2)
    share = np.concatenate([random.uniform(0.2, 0.4, 180), np.zeros(21)])
    noise = np.exp(random.normal(0, 0.03, 201)) * np.where(np.arange(201) < 180, 1.0, worse)
    rows = rows_of(mix_of(share, noise))
    weekday = np.arange(201) % 7
    verdict = verdict_on("loss", rows[180:], rows[:180], weekday, MonitorSettings(), 0.3)
    assert verdict.state == state
    # Without the adjustment, the naive is right again, which looks like a degradation.
    plain = [{**row, "special_definition": None, "special_n": None} for row in rows]
    assert verdict_on("loss", plain[180:], plain[:180], weekday, MonitorSettings(), 0.3).state == "degraded"


@pytest.mark.parametrize("gone", [True, False])
def test_evaluations_with_another_definition_of_special_days_are_not_compared(gone):
    """A covariate that is taken out of the job, or comes into it, is neither a change of days nor hides one."""
    random = np.random.default_rng(3)
    share = random.uniform(0.2, 0.4, 220)
    for worse, state in ((1.0, "ok"), (1.3, "degraded")):
        noise = np.exp(random.normal(0, 0.03, 220)) * np.where(np.arange(220) < 180, 1.0, worse)
        rows = rows_of(mix_of(share, noise))
        nothing = {"special_definition": None, "special_n": None, "special_loss": None, "special_baseline_loss": None}
        rows = [{**row, **nothing} if (number >= 180) == gone else row for number, row in enumerate(rows)]
        verdict = verdict_on("loss", rows[180:], rows[:180], np.arange(220) % 7, MonitorSettings(), 0.3)
        assert verdict.state == state
