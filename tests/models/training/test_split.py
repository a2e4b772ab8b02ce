from __future__ import annotations

import numpy as np
import pytest

from models.network.choose_plan import choose
from models.settings.forecast import ForecastSettings
from models.settings.network import Layer, NetworkSettings
from models.settings.training import TrainingSettings
from models.training.split import Origins, choose_windows

FORECAST = ForecastSettings(frequency="D", horizon=10, quantile_levels=[0.1, 0.5, 0.9])
NETWORK = NetworkSettings(layers=[Layer(cell="gru", units=16)])


def windows_of(panel):
    plan = choose(panel, FORECAST, NETWORK, TrainingSettings())[0][0]
    return plan, choose_windows(panel.offsets, panel.observed, plan)


def test_training_windows_never_look_at_the_held_out_steps(weekly_panel):
    plan, windows = windows_of(weekly_panel)
    end = weekly_panel.offsets[1:]
    # Fourteen days, two seasons, are held out; a training origin has at least one step before them.
    np.testing.assert_array_equal(windows.end, end - 14)
    drawn = windows.training.draw(np.random.default_rng(0), 20_000)
    assert (drawn[:, 1] < windows.end[drawn[:, 0]] - 1).all()
    assert (windows.validation[:, 1] >= windows.end[windows.validation[:, 0]] - 1).all()
    assert (windows.validation[:, 1] + plan.horizon < end[windows.validation[:, 0]]).all()
    assert len(windows.everything) == 20 * (140 - 7)


def test_every_origin_with_a_segment_behind_it_can_be_drawn_and_no_other(weekly_panel):
    plan, windows = windows_of(weekly_panel)
    drawn = windows.everything.draw(np.random.default_rng(0), 200_000)
    place = drawn[:, 1] - weekly_panel.offsets[:-1][drawn[:, 0]]
    assert (place.min(), place.max()) == (plan.segment - 1, 140 - 2)
    assert len(np.unique(drawn, axis=0)) == len(windows.everything)


def test_windows_of_series_that_ended_early_end_with_them(make_panel):
    values = np.concatenate([np.arange(60.0), np.full(40, np.nan)])
    panel = make_panel({"a": values, "b": np.full(30, np.nan)}, horizon=10)
    _, windows = windows_of(panel)
    np.testing.assert_array_equal(windows.full_end, [60, 100])
    drawn = windows.everything.draw(np.random.default_rng(0), 5_000)
    assert drawn[:, 0].max() == 0
    assert drawn[:, 1].max() == 58


def test_an_origin_a_half_life_older_is_drawn_half_as_often():
    origins = Origins(np.array([99]), np.array([100]), half_life=20.0)
    age = 99 - origins.draw(np.random.default_rng(0), 400_000)[:, 1]
    counts = np.bincount(age, minlength=100)
    assert len(counts) == 100
    assert counts[20:40].sum() / counts[:20].sum() == pytest.approx(0.5, rel=0.03)
    assert counts[80:].sum() / counts[:20].sum() == pytest.approx(1 / 16, rel=0.08)


def test_without_a_half_life_every_origin_is_as_likely():
    origins = Origins(np.array([9, 39, 49]), np.array([10, 30, 0]), half_life=0.0)
    drawn = origins.draw(np.random.default_rng(0), 40_000)
    np.testing.assert_allclose(np.bincount(drawn[:, 1], minlength=40), 1_000, rtol=0.15)
    assert drawn[:, 0].max() == 1
