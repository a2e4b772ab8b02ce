from __future__ import annotations

from dataclasses import replace

import keras
import numpy as np
import pytest

from models.choices import choose
from models.errors import ModelError
from models.flat_arrays import Vocabulary, flatten
from models.forecaster import Forecaster
from models.settings import ForecastSettings, Layer, NetworkSettings, TrainingSettings
from models.training import ROUND, train
from models.training_windows import choose_windows

FORECAST = ForecastSettings(frequency="D", horizon=10, quantile_levels=[0.1, 0.5, 0.9])
NETWORK = NetworkSettings(layers=[Layer(cell="gru", units=16)])


@pytest.fixture
def course(weekly_panel):
    """Train a fresh network; options of `train` and of the plan by keyword."""

    def run(panel=weekly_panel, *, plan_facts=None, weights=None, **options):
        keras.utils.set_random_seed(0)
        plan, choices = choose(panel, FORECAST, NETWORK, TrainingSettings(max_steps=150))
        plan = replace(plan, **(plan_facts or {}))
        forecaster = Forecaster(plan, Vocabulary.of(panel), FORECAST, choices)
        arrays = flatten(panel, forecaster.vocabulary, level_window=plan.level_window, scale_window=plan.scale_window)
        forecaster._build(arrays)
        if weights is not None:
            forecaster.network.set_weights(weights)
        settings = {"shape": forecaster.shape, "seed": 0, "time_limit": 1e6, "patience": 100, **options}
        report = train(
            forecaster.network, arrays, choose_windows(panel.offsets, panel.observed, plan), plan, **settings
        )
        return forecaster.network, report

    return run


def test_training_windows_never_look_at_the_held_out_steps(weekly_panel):
    plan, _ = choose(weekly_panel, FORECAST, NETWORK, TrainingSettings())
    windows = choose_windows(weekly_panel.offsets, weekly_panel.observed, plan)
    end = weekly_panel.offsets[1:]
    # Fourteen days, two seasons, are held out; a training origin has at least one step before them.
    np.testing.assert_array_equal(windows.end, end - 14)
    assert (windows.training[:, 1] < windows.end[windows.training[:, 0]] - 1).all()
    assert (windows.validation[:, 1] >= windows.end[windows.validation[:, 0]] - 1).all()
    assert (windows.validation[:, 1] + plan.horizon < end[windows.validation[:, 0]]).all()
    assert len(windows.all) == 20 * (140 - 7)


def test_windows_of_series_that_ended_early_end_with_them(make_panel):
    values = np.concatenate([np.arange(60.0), np.full(40, np.nan)])
    panel = make_panel({"a": values, "b": np.full(30, np.nan)}, horizon=10)
    plan, _ = choose(panel, FORECAST, NETWORK, TrainingSettings())
    windows = choose_windows(panel.offsets, panel.observed, plan)
    np.testing.assert_array_equal(windows.full_end, [60, 100])
    assert windows.all[:, 0].max() == 0
    assert windows.all[:, 1].max() == 58


def test_training_learns_the_season(course):
    _, report = course()
    losses = [entry["validation_loss"] for entry in report.history]
    assert len(losses) == 150 // ROUND
    assert report.validation_loss == min(losses) < 0.8 * losses[0]
    assert report.stopped == "all 150 steps were made"


def test_the_same_seed_gives_the_same_weights_bit_by_bit(course):
    first, _ = course()
    second, _ = course()
    other, _ = course(seed=1)
    for mine, theirs in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert any((a != b).any() for a, b in zip(first.get_weights(), other.get_weights(), strict=True))


def test_training_ends_with_the_time_limit_and_keeps_what_it_has(course):
    ticks = iter(range(0, 100_000, 40))
    network, report = course(time_limit=100.0, clock=lambda: next(ticks))
    assert report.stopped == "the time limit of 100 s"
    assert 0 < report.steps < 150
    assert all(np.isfinite(weight).all() for weight in network.get_weights())


def test_training_ends_when_patience_runs_out(course):
    # At this rate nothing is learnt after the first rounds.
    _, report = course(patience=1, plan_facts={"learning_rate": 1e-9, "max_steps": 400})
    assert report.stopped == "1 validations without improvement" or report.steps < 400


def test_a_warm_start_that_finds_nothing_better_keeps_the_champion(course):
    trained, _ = course()
    champion = trained.get_weights()
    network, report = course(mode="warm", weights=champion, plan_facts={"learning_rate": 30.0, "max_steps": 25})
    assert report.kept_champion
    assert report.validation_loss == report.champion_validation_loss
    for mine, theirs in zip(network.get_weights(), champion, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_a_warm_start_goes_on_where_the_champion_stopped(course):
    early, first = course(plan_facts={"max_steps": 50})
    _, report = course(mode="warm", weights=early.get_weights(), plan_facts={"max_steps": 100})
    assert not report.kept_champion
    assert report.validation_loss < report.champion_validation_loss
    assert report.champion_validation_loss < 2 * first.validation_loss


def test_a_loss_that_is_not_finite_is_tried_at_lower_rates_and_then_given_up(course):
    broken = course()[0].get_weights()
    broken[0] = np.full_like(broken[0], np.nan)
    with pytest.raises(ModelError, match=r"not finite 4 times.*Lower training.learning_rate"):
        course(weights=broken)


def test_progress_tells_the_loss_and_the_time_left(course):
    seen = []
    course(progress=seen.append)
    assert [each.step for each in seen] == list(range(ROUND, 151, ROUND))
    assert seen[-1].seconds_left == 0
    assert seen[0].steps == 150
    assert all(np.isfinite(each.loss) and np.isfinite(each.validation_loss) for each in seen)


def test_series_too_short_for_any_window_are_an_error(course, make_panel):
    with pytest.raises(ModelError, match="No series is long enough"):
        course(make_panel({"a": [1.0]}, horizon=10))
