"""Hindcasts: past nights as they would have been, without anything that came after them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.evaluation.hindcast import hindcast
from models.evaluation.scales import scales_at
from models.hierarchy.past_errors import rewind
from models.metrics.statistics import pinball_of_each
from models.panel.panel import Panel
from models.settings.forecast import ForecastSettings
from models.settings.network import NetworkSettings
from models.settings.training import TrainingSettings
from models.training.fit import fit

FORECAST = ForecastSettings(frequency="D", horizon=7, quantile_levels=[0.1, 0.5, 0.9])
NETWORK = NetworkSettings(layers=[{"cell": "gru", "units": 4}], segment=7, context_length=14)


@pytest.fixture(scope="module")
def panel():
    day, random = np.arange(200), np.random.default_rng(0)
    series = [10 + i + np.sin(2 * np.pi * day / 7 + i) + random.normal(0, 0.2, 200) for i in range(4)]
    return Panel(
        values=np.concatenate(series).astype(np.float32),
        offsets=200 * np.arange(5),
        series_ids=np.array(["a", "b", "c", "d"]),
        frequency="D",
        cutoff_index=1_000,
        season_lengths=(7,),
        horizon=7,
    )


@pytest.fixture(scope="module")
def forecaster(panel):
    return fit(panel, FORECAST, NETWORK, TrainingSettings(max_steps=5))[0]


def segments_of(panel):
    return {"all": np.ones(len(panel), bool), "half": np.arange(len(panel)) < 2}


def test_an_evaluations_loss_is_that_of_each_cutoff_forecast_alone(panel, forecaster):
    evaluations = hindcast(forecaster, panel, FORECAST, segments_of(panel), 20, 1)

    assert [evaluation.steps_back for evaluation in evaluations] == [*range(19, -1, -1)]
    chosen = next(evaluation for evaluation in evaluations if evaluation.steps_back == 3)
    later = forecaster.predict(rewind(panel, 3))
    before = forecaster.predict(rewind(panel, 4))
    unit = scales_at(panel, 7, [panel.cutoff_index - 3])[0]
    instability = np.abs(later.median[:, :6] - before.median[:, 1:]) / unit[:, None]
    assert chosen.losses["all"].instability == pytest.approx(instability.mean(), rel=1e-4)
    assert chosen.losses["half"].instability == pytest.approx(instability[:2].mean(), rel=1e-4)
    losses, naive, bias, inside = [], [], [], []
    for step in range(1, 8):
        past = rewind(panel, 3 + step)
        night = forecaster.predict(past)
        scale = scales_at(panel, 7, [past.cutoff_index])[0]
        actual = panel.tail(1, skip=3)
        at = slice(step - 1, step)
        losses.append(pinball_of_each(actual, night.quantiles[:, at], night.quantile_levels)[:, 0] / scale)
        points = np.repeat(night.baseline[:, at, None], 3, axis=-1)
        naive.append(pinball_of_each(actual, points, night.quantile_levels)[:, 0] / scale)
        bias.append((night.median[:, at] - actual)[:, 0] / scale)
        low, high = night.quantiles[:, step - 1, 0], night.quantiles[:, step - 1, -1]
        inside.append((low <= actual[:, 0]) & (actual[:, 0] <= high))
    assert chosen.losses["all"].n == 28
    assert chosen.losses["all"].loss == pytest.approx(np.mean(losses), rel=1e-4)
    assert chosen.losses["half"].loss == pytest.approx(np.mean([each[:2] for each in losses]), rel=1e-4)
    assert chosen.losses["all"].baseline_loss == pytest.approx(np.mean(naive), rel=1e-5)
    assert chosen.losses["all"].bias == pytest.approx(np.mean(bias), abs=1e-4)
    assert chosen.losses["all"].coverage == pytest.approx(np.mean(inside))


def test_an_evaluation_has_a_loss_of_special_days(panel):
    promotion = np.zeros((4, 200 + panel.horizon, 1), np.float32)
    # Two series have a promotion four days before the cutoff.
    promotion[:2, 195] = 1
    panel = replace(panel, known_future=promotion.reshape(-1, 1), known_future_names=("promotion",))
    forecaster = fit(panel, FORECAST, NETWORK, TrainingSettings(max_steps=5))[0]
    evaluations = {
        evaluation.steps_back: evaluation.losses
        for evaluation in hindcast(forecaster, panel, FORECAST, segments_of(panel), 20, 1)
    }
    # Seven nights forecast that day, each for two series with a promotion.
    promoted = evaluations[4]
    assert (promoted["all"].n, promoted["all"].special_n, promoted["half"].special_n) == (28, 14, 14)
    assert promoted["half"].special_loss == promoted["half"].loss == promoted["all"].special_loss
    assert promoted["half"].special_baseline_loss == promoted["half"].baseline_loss
    assert {losses["all"].special_n for back, losses in evaluations.items() if back != 4} == {0}
    assert np.isnan(evaluations[3]["all"].special_loss)


def test_an_evaluation_does_not_depend_on_later_values(panel, forecaster):
    poisoned = panel.values.copy().reshape(4, 200)
    poisoned[:, -10:] = 1e4
    changed = hindcast(forecaster, replace(panel, values=poisoned.ravel()), FORECAST, segments_of(panel), 40, 1)

    before = hindcast(forecaster, panel, FORECAST, segments_of(panel), 40, 1)

    for one, other in zip(before, changed, strict=True):
        if one.steps_back >= 10:
            # Running sums over later values change the rounding, and nothing else.
            assert one.losses["half"].loss == pytest.approx(other.losses["half"].loss, rel=1e-6)
            assert one.losses["all"].baseline_loss == other.losses["all"].baseline_loss
            # A difference of two forecasts that are alike: their rounding weighs more in it than in a loss.
            assert one.losses["all"].instability == pytest.approx(other.losses["all"].instability, rel=1e-6, abs=1e-6)
        else:
            assert one.losses["all"].loss < other.losses["all"].loss


def test_evaluations_on_held_out_actuals_are_not_in_sample(panel, forecaster):
    evaluations = hindcast(forecaster, panel, FORECAST, segments_of(panel), 40, 1)

    # Two weeks are held out.
    assert [evaluation.steps_back for evaluation in evaluations if not evaluation.in_sample] == [*range(13, -1, -1)]


def test_evaluations_of_several_steps_count_each_point_once(panel, forecaster):
    evaluations = hindcast(forecaster, panel, FORECAST, segments_of(panel), 10, 7)

    assert [evaluation.steps_back for evaluation in evaluations][-2:] == [7, 0]
    assert {evaluation.losses["all"].n for evaluation in evaluations} == {28}
    # Nights a horizon apart have no day in common.
    assert all(np.isnan(evaluation.losses["all"].instability) for evaluation in evaluations)


def test_a_hindcast_leaves_half_of_the_history_before_it(panel, forecaster):
    assert len(hindcast(forecaster, panel, FORECAST, segments_of(panel), 500, 1)) == 93
    assert hindcast(forecaster, panel.newest(12), FORECAST, segments_of(panel), 500, 1) == []
