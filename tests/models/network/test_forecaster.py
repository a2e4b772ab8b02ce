from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.errors import ModelError
from models.network.forecaster import Forecaster
from models.panel.shards import shards
from models.settings.forecast import ForecastSettings
from models.settings.network import InputSettings, Layer, NetworkSettings, Tokens
from models.settings.training import TrainingSettings
from models.training.fit import fit
from models.training.fit_member import built, fitted_to

ROOT = Path(__file__).parents[3]
FORECAST = ForecastSettings(frequency="D", horizon=10, quantile_levels=[0.1, 0.25, 0.9], lower_bound=0)
NETWORK = NetworkSettings(layers=[Layer(cell="gru", units=16)], context_length=28)
TRAINING = TrainingSettings(max_steps=200, batch_size=16)


@pytest.fixture(scope="module")
def trained(weekly_panel, kept_graphs):
    return fit(weekly_panel, FORECAST, NETWORK, TRAINING)[0]


def assert_sane(forecast, series, *, lower=0.0):
    assert forecast.quantiles.shape == (series, 10, 4)
    for array in (forecast.quantiles, forecast.mean):
        assert np.isfinite(array).all()
        assert (array >= lower).all()
    assert (np.diff(forecast.quantiles, axis=-1) >= 0).all()


def test_forecasts_are_nearer_than_the_seasonal_naive(trained, make_panel, make_weekly):
    whole = make_panel(make_weekly(20, 150), horizon=10)
    actual = whole.tail(10)
    past = make_panel({k: v[:-10] for k, v in make_weekly(20, 150).items()}, horizon=10)
    forecast = trained.predict(past)
    assert_sane(forecast, 20)
    assert (forecast.source == "model").all()
    assert np.abs(actual - forecast.median).mean() < 0.9 * np.abs(actual - forecast.baseline).mean()


def test_a_saved_forecaster_forecasts_the_same(trained, weekly_panel, tmp_path):
    trained.save(tmp_path)
    again = Forecaster.load(tmp_path)
    np.testing.assert_array_equal(again.predict(weekly_panel).quantiles, trained.predict(weekly_panel).quantiles)
    assert again.choices == trained.choices
    assert [member.plan for member in again.members] == [member.plan for member in trained.members]


@pytest.mark.parametrize("file", ["forecaster.json", "member-0.npz"])
def test_a_truncated_file_is_named(trained, tmp_path, file):
    trained.save(tmp_path)
    (tmp_path / file).write_bytes((tmp_path / file).read_bytes()[:100])
    with pytest.raises(ModelError, match=r"cannot be read.*--train scratch"):
        Forecaster.load(tmp_path)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(ModelError, match="nowhere"):
        Forecaster.load(tmp_path / "nowhere")


def test_a_series_is_forecast_the_same_whatever_series_are_beside_it(trained, weekly_panel):
    together = trained.predict(weekly_panel)
    alone = trained.predict(weekly_panel.without(set(weekly_panel.series_ids[:-3].tolist())))
    np.testing.assert_allclose(alone.quantiles, together.quantiles[-3:], rtol=1e-6)


def test_a_panel_in_shards_is_forecast_as_it_is_whole(trained, make_panel, make_weekly):
    series = make_weekly(7, 140)
    series |= {"dead": np.r_[np.full(40, 90.0), np.full(100, np.nan)], "empty": np.full(9, np.nan), "one": [5.0]}
    panel = make_panel(series, horizon=10, refused={"s003": "because we say so"})
    whole, instead = trained.predict(panel), trained.fallback(panel)
    parts = [trained.predict_shard(panel.part(part), instead.of(part)) for part in shards(len(panel), 4)]
    for name in ("series_ids", "source", "reason", "baseline"):
        np.testing.assert_array_equal(np.concatenate([getattr(part, name) for part in parts]), getattr(whole, name))
    quantiles, mean = (np.concatenate([getattr(part, name) for part in parts]) for name in ("quantiles", "mean"))
    left = whole.source == "fallback"
    assert left.sum() == 3
    np.testing.assert_array_equal(quantiles[left], whole.quantiles[left])
    np.testing.assert_array_equal(mean[left], whole.mean[left])
    # Batches of another size round otherwise.
    np.testing.assert_allclose(quantiles, whole.quantiles, rtol=1e-5)
    np.testing.assert_allclose(mean, whole.mean, rtol=1e-5)


def test_the_bounds_that_a_job_names_now_hold_for_the_model_and_the_fallback(trained, make_panel, make_weekly):
    panel = make_panel({**make_weekly(5, 140), "dead": np.r_[np.full(40, 90.0), np.full(100, np.nan)]}, horizon=10)
    tight = FORECAST.model_copy(update={"lower_bound": 20.3, "upper_bound": 24.1})
    free = trained.predict(panel)
    bounded = trained.predict(panel, tight)
    assert {"model", "fallback"} == set(bounded.source)
    np.testing.assert_array_equal(bounded.quantiles, np.clip(free.quantiles, 20.3, 24.1))
    for array in (bounded.quantiles, bounded.mean):
        assert (array >= 20.3).all()
        assert (array <= 24.1).all()


def test_without_a_bound_in_the_job_the_one_chosen_in_training_holds(make_panel, make_weekly, kept_graphs):
    unbounded = FORECAST.model_copy(update={"lower_bound": None})
    # As many values as those of `trained`, so that both share a graph.
    near_zero = make_panel({name: values % 1 for name, values in make_weekly(20, 140).items()}, horizon=10)
    forecaster, _ = fit(near_zero, unbounded, NETWORK, TRAINING.model_copy(update={"max_steps": 5}))
    below = make_panel({"a": np.tile([-9.0, 9.0], 70)}, horizon=10)
    assert forecaster.bounds(below, unbounded) == (0, None)
    assert forecaster.bounds(below, FORECAST.model_copy(update={"lower_bound": -8.0, "upper_bound": 8.0})) == (-8, 8)


def test_a_bound_that_the_job_has_taken_back_holds_no_longer(trained, make_panel):
    unbounded = FORECAST.model_copy(update={"lower_bound": None})
    below = make_panel({"a": np.tile([-9.0, 9.0], 70)}, horizon=10)
    assert trained.bounds(below, FORECAST) == (0, None)
    assert trained.bounds(below, unbounded) == (None, None)
    above = make_panel({"a": np.tile([0.0, 9.0], 70)}, horizon=10)
    assert trained.bounds(above, unbounded) == (0, None)


def test_values_before_the_look_back_change_nothing(trained, make_panel, make_weekly):
    series = make_weekly(4, 600)
    look_back = trained.members[0].look_back
    assert look_back < 300
    whole = trained.predict(make_panel(series, horizon=10))
    short = trained.predict(make_panel({name: values[-look_back:] for name, values in series.items()}, horizon=10))
    other = {name: np.where(np.arange(600) < 600 - look_back, 1e6, values) for name, values in series.items()}
    np.testing.assert_allclose(short.quantiles, whole.quantiles, rtol=1e-4)
    np.testing.assert_allclose(trained.predict(make_panel(other, horizon=10)).quantiles, whole.quantiles, rtol=1e-4)


def test_a_series_that_never_moved_is_forecast_as_it_is(trained, make_panel, make_weekly):
    panel = make_panel({**make_weekly(4, 140), "zero": np.zeros(140), "seven": np.full(140, 7.0)}, horizon=10)
    forecast = trained.predict(panel)
    quantiles = dict(zip(forecast.series_ids, forecast.quantiles, strict=True))
    np.testing.assert_array_equal(quantiles["zero"], 0.0)
    np.testing.assert_array_equal(quantiles["seven"], 7.0)


@pytest.mark.parametrize("steps", [8, 70])
def test_keras_forecasts_the_same_whether_steps_are_laid_out_or_not(weekly_panel, keras_quantiles, steps):
    network = NetworkSettings(layers=[Layer(units=4)], segment=1, context_length=steps)
    forecaster, _ = fit(weekly_panel, FORECAST, network, TrainingSettings(max_steps=5))
    by_keras = keras_quantiles(forecaster.members[0], weekly_panel)
    forecaster.width = 1.0
    np.testing.assert_allclose(forecaster.predict(weekly_panel).quantiles, by_keras, rtol=1e-4)


def test_a_forecast_does_not_depend_on_the_series_beside_it(trained, make_panel, make_weekly):
    series = make_weekly(700, 60)
    together = trained.predict(make_panel(series, horizon=10))
    for chosen in (slice(0, 3), slice(255, 258), slice(697, 700)):
        alone = trained.predict(make_panel(dict(list(series.items())[chosen]), horizon=10))
        np.testing.assert_allclose(alone.quantiles, together.quantiles[chosen], rtol=1e-5)


WITHOUT_KERAS = """
import sys
from pathlib import Path
import numpy as np
from models.network.forecaster import Forecaster
from models.panel.panel import Panel

forecaster = Forecaster.load(Path(sys.argv[1]))
values = np.arange(100, dtype=np.float32) % 7
panel = Panel(values, np.array([0, 100]), np.array(["a"]), "D", 1_000, (7,), 10)
assert forecaster.predict(panel).source == ["model"]
assert "gru_0" in forecaster.summary
assert not {"keras", "tensorflow", "jax"} & set(sys.modules)
"""


def test_forecasting_needs_no_keras(trained, tmp_path):
    trained.save(tmp_path)
    subprocess.run([sys.executable, "-c", WITHOUT_KERAS, str(tmp_path)], check=True, cwd=ROOT)


def test_another_grid_or_horizon_is_refused(trained, weekly_panel):
    with pytest.raises(ModelError, match="train from scratch"):
        trained.predict(replace(weekly_panel, frequency="h"))
    with pytest.raises(ModelError, match="train from scratch"):
        trained.predict(replace(weekly_panel, horizon=3))


def test_bad_series_get_the_fallback_with_the_reason_and_the_others_the_model(trained, make_panel, make_weekly):
    series = make_weekly(5, 140)
    series["dead"] = np.concatenate([np.full(40, 5.0), np.full(100, np.nan)])
    series["empty"] = np.full(10, np.nan)
    panel = make_panel(series, horizon=10, refused={"s000": "because we say so"})
    forecast = trained.predict(panel)
    assert_sane(forecast, 7)
    reasons = dict(zip(forecast.series_ids, forecast.reason, strict=True))
    assert reasons["s000"] == "because we say so"
    assert "no observed value in the last" in reasons["dead"]
    assert reasons["s001"] == ""
    assert (forecast.source == np.where(forecast.reason == "", "model", "fallback")).all()


@pytest.mark.parametrize(
    "values",
    [
        np.full(140, 3.0),
        np.zeros(140),
        np.where(np.arange(140) == 100, 1e30, 5.0),
        np.where(np.arange(140) == 139, 1e30, 5.0),
        np.where(np.arange(140) > 138, 500.0, 5.0 + np.arange(140) % 7),
        1e9 * (5.0 + np.arange(140) % 7),
        1e-9 * (5.0 + np.arange(140) % 7),
        np.where(np.arange(140) % 20 == 0, 1.0, 0.0),
        np.where(np.arange(140) % 2 == 0, np.nan, 4.0),
        np.array([4.0, 5.0, 6.0]),
    ],
    ids=[
        "constant",
        "zero",
        "one 1e30",
        "last 1e30",
        "shift at the cutoff",
        "1e9",
        "1e-9",
        "intermittent",
        "half missing",
        "short",
    ],
)
def test_an_odd_series_neither_breaks_its_own_forecast_nor_the_others(trained, values, make_panel, make_weekly):
    usual = make_weekly(4, 140)
    forecast = trained.predict(make_panel({**usual, "zz": values}, horizon=10))
    assert_sane(forecast, 5)
    alone = trained.predict(make_panel(usual, horizon=10))
    np.testing.assert_allclose(forecast.quantiles[:4], alone.quantiles, rtol=1e-6)


def test_odd_series_do_not_stop_training(make_panel, make_weekly):
    series = make_weekly(6, 140)
    series |= {"zero": np.zeros(140), "huge": np.where(np.arange(140) == 70, 1e30, 5.0), "tiny": 1e-9 * np.arange(140)}
    series |= {"nan": np.full(140, np.nan), "one": np.array([1.0]), "flat": np.full(140, 1e9)}
    training = TrainingSettings(max_steps=50, batch_size=16)
    forecaster, report = fit(make_panel(series, horizon=10), FORECAST, NETWORK, training)
    assert np.isfinite(report.validation_loss)
    assert_sane(forecaster.predict(make_panel(series, horizon=10)), 12)


def test_forecasts_scale_with_the_series(trained, make_panel, make_weekly):
    series = make_weekly(3, 140)
    unit = trained.predict(make_panel(series, horizon=10)).quantiles
    thousand = trained.predict(make_panel({k: 1000 * v for k, v in series.items()}, horizon=10)).quantiles
    np.testing.assert_allclose(thousand, 1000 * unit, rtol=1e-4)


def test_covariates_and_categories_are_learnt_and_unknown_ones_forgiven(make_panel):
    random = np.random.default_rng(0)
    promotion = (random.random((12, 150)) < 0.3).astype(np.float32)
    series = {
        f"s{i:02d}": 50
        + 10 * np.sin(np.arange(140) / 7 * 2 * np.pi)
        + 40 * promotion[i, :140]
        + random.normal(size=140)
        for i in range(12)
    }
    facts = {"known_future_names": ("promotion",), "static": {"kind": np.array(["x", "y"] * 6)}, "horizon": 10}
    area = np.arange(12, dtype=np.float32)[:, None]
    facts |= {"static_numbers": area, "static_number_names": ("area",)}
    panel = make_panel(series, known_future=promotion.reshape(-1, 1), **facts)
    forecaster, _ = fit(panel, FORECAST, NETWORK, TrainingSettings(max_steps=300, batch_size=16))
    median = forecaster.predict(panel).median
    future = promotion[:, 140:]
    # Days with a promotion lie 40 above days without: the network must have seen most of it.
    assert median[future == 1].mean() - median[future == 0].mean() > 25
    other = replace(panel, static={"kind": np.array(["never seen"] * 12)}, static_numbers=np.full_like(area, np.nan))
    assert_sane(forecaster.predict(other), 12)
    # The network looks at numbers too.
    assert not np.array_equal(forecaster.predict(replace(panel, static_numbers=area[::-1])).median, median)


@pytest.mark.parametrize(
    "layers", [[("lstm", 128)], [("gru", 256), ("simple_rnn", 128)]], ids=["embedding-lstm", "embedding-gru-simple-rnn"]
)
def test_token_stacks_train_and_forecast(weekly_panel, layers):
    network = NetworkSettings(
        layers=[Layer(cell=cell, units=units) for cell, units in layers],
        segment=1,
        context_length=14,
        head=[],
        residual="none",
        input=InputSettings(tokens=Tokens(), calendar=False, series_embedding=0, static_embedding=0),
    )
    forecast = ForecastSettings(frequency="D", horizon=10, quantile_levels=[0.5], lower_bound=0)
    forecaster, report = fit(weekly_panel, forecast, network, TrainingSettings(max_steps=75, batch_size=16))
    first, last = report.history[0]["validation_loss"], report.validation_loss
    assert last < first
    assert (
        sum(weight.size for weight in forecaster.members[0].weights.values()) == {1: 164_106, 2: 361_866}[len(layers)]
    )
    assert forecaster.predict(weekly_panel).quantiles.shape == (20, 10, 1)


def test_a_warm_start_keeps_old_rows_and_gives_new_series_the_unknown_one(make_panel, make_weekly, kept_graphs):
    network = NetworkSettings(layers=[Layer(units=8)])
    long = make_panel(make_weekly(4, 1_100), horizon=10)
    champion, _ = fit(long, FORECAST, network, TrainingSettings(max_steps=25))
    assert champion.plan.series_embedding > 0
    grown = champion.grown(
        make_panel(make_weekly(6, 1_100), horizon=10), TrainingSettings(max_steps=7, optimizer="sgd")
    )
    # The network is the champion's, how it is trained the job's.
    plan = grown.members[0].plan
    assert (plan.max_steps, plan.optimizer, plan.layers) == (7, "sgd", champion.plan.layers)
    before = champion.members[0].weights["series_embedding/embeddings"]
    like = built(grown.members[0], long).named_weights
    after = fitted_to(champion.members[0].weights, like)["series_embedding/embeddings"]
    np.testing.assert_array_equal(after[:5], before)
    np.testing.assert_array_equal(after[5:], before[[0, 0]])
    warm, report = fit(long, FORECAST, network, TrainingSettings(max_steps=25), start_from=champion)
    assert report.mode == "warm"
    assert report.kept_champion or report.validation_loss < report.champion_validation_loss
    assert_sane(warm.predict(long), 4)


def test_the_summary_names_the_layers(trained):
    assert "gru_0" in trained.summary
    assert "step_head" in trained.summary


def test_nothing_to_train_on_is_an_error(make_panel):
    panel = make_panel({"a": np.arange(5)}, horizon=10, refused={"a": "short"})
    with pytest.raises(ModelError, match="Every series was refused"):
        fit(panel, FORECAST, NETWORK, TRAINING)


def test_a_network_that_is_blind_to_the_calendar_forecasts_otherwise_and_stays_as_it_is(trained, weekly_panel):
    before = trained.predict(weekly_panel).median
    blind = trained.blind_to({"calendar"}).predict(weekly_panel).median
    assert np.abs(blind - before).max() > 1e-6
    np.testing.assert_array_equal(trained.predict(weekly_panel).median, before)
    # It has no holidays to be blind to.
    np.testing.assert_array_equal(trained.blind_to({"holidays"}).predict(weekly_panel).median, before)


def test_a_short_series_alone_is_forecast_as_beside_the_longest_one(trained, make_panel, make_weekly):
    series = make_weekly(2, 140)
    panel = make_panel({**series, "short": series["s000"][:12]}, horizon=10)
    together = trained.predict(panel).quantiles[-1:]
    alone = panel.without({"s000", "s001"})
    fallback = trained.fallback(alone)
    np.testing.assert_allclose(trained.beside(140).predict_shard(alone, fallback).quantiles, together, rtol=1e-6)
