from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from keras import activations, layers

from models.network.choose_plan import choose
from models.network.member import Member
from models.network.numpy_network import CELLS, gelu
from models.network.vocabulary import Vocabulary
from models.settings.forecast import ForecastSettings
from models.settings.network import InputSettings, Layer, NetworkSettings, Tokens
from models.settings.training import TrainingSettings
from models.training.fit_member import built

FORECAST = ForecastSettings(frequency="D", horizon=10, quantile_levels=[0.1, 0.9])
KERAS_CELLS = {"simple_rnn": layers.SimpleRNN, "lstm": layers.LSTM, "gru": layers.GRU}


@pytest.fixture
def rich_panel(make_panel, make_weekly):
    """Every kind of covariate, a gap, and series of three lengths."""
    random = np.random.default_rng(1)
    series = {
        name: values[-length:]
        for (name, values), length in zip(make_weekly(6, 60).items(), (60, 60, 33, 60, 9, 60), strict=True)
    }
    series["s001"] = np.where(np.arange(60) % 11 == 5, np.nan, series["s001"])
    total = sum(map(len, series.values()))
    return make_panel(
        series,
        horizon=10,
        static={"region": np.array(["n", "s", "", "n", "s", "w"])},
        static_numbers=random.normal(size=(6, 2)).astype(np.float32),
        static_number_names=("area", "age"),
        known_future=random.normal(size=(total + 6 * 10, 2)).astype(np.float32),
        known_future_names=("price", "promotion"),
        observed_past=random.normal(size=(total, 1)).astype(np.float32),
        observed_past_names=("visitors",),
        holidays=("ES",),
    )


def with_random_weights(panel, network, **facts):
    """A member whose every weight has a say."""
    plan = choose(panel, FORECAST, network, TrainingSettings())[0][0]
    member = Member(replace(plan, **facts), Vocabulary.of(panel))
    random = np.random.default_rng(0)
    member.weights = {
        name: random.normal(0, 0.3, size=weight.shape).astype(np.float32)
        for name, weight in built(member, panel).named_weights.items()
    }
    return member


@pytest.mark.parametrize(
    ("network", "facts"),
    [
        ({}, {"series_embedding": 3}),
        ({"layers": [Layer(cell=cell, units=8) for cell in CELLS]}, {"mix_by_state": False, "dropout": 0.3}),
        ({"layers": [Layer(cell="lstm", units=8)], "head": [8, 4], "segment": 1}, {"error_units": False}),
        ({"layers": [Layer(cell="gru", units=8)], "head": [], "residual": "none"}, {"calendar": False}),
        ({"layers": [Layer(cell="simple_rnn", units=8)], "input": InputSettings(tokens=Tokens(dimension=4))}, {}),
    ],
)
def test_numpy_forecasts_what_keras_does(rich_panel, keras_quantiles, network, facts):
    member = with_random_weights(rich_panel, NetworkSettings(**network), **facts)
    every = np.arange(len(rich_panel))
    theirs = keras_quantiles(member, rich_panel)
    assert len(np.unique(theirs)) == theirs.size
    np.testing.assert_allclose(member.quantiles(rich_panel, every), theirs, rtol=1e-4, atol=1e-4)
    # Some of the series only: places in a block are not places in the panel.
    np.testing.assert_allclose(member.quantiles(rich_panel, every[[1, 4]]), theirs[[1, 4]], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("cell", CELLS)
def test_a_cell_stays_finite_at_the_ends_of_its_curves(cell):
    theirs = KERAS_CELLS[cell](4, return_sequences=True)
    values = np.array([[[0.0], [1e4], [-1e4], [1.0], [300.0]]], np.float32)
    expected = np.asarray(theirs(values))
    mine = CELLS[cell](*(np.asarray(weight) for weight in theirs.get_weights()))
    with np.errstate(all="raise", under="ignore"):
        np.testing.assert_allclose(mine(values), expected, atol=1e-6)


def test_the_smooth_activation_is_the_one_of_keras():
    values = np.linspace(-6, 6, 101, dtype=np.float32)
    np.testing.assert_allclose(gelu(values), np.asarray(activations.gelu(values)), atol=1e-6)


def test_a_missing_weight_is_named(rich_panel):
    member = with_random_weights(rich_panel, NetworkSettings())
    weights = {name: weight for name, weight in member.weights.items() if name != "gru_0/gru_cell/bias"}
    with pytest.raises(KeyError, match="gru_0/gru_cell/bias"):
        Member(member.plan, member.vocabulary).weights = weights
