from __future__ import annotations

import json

import numpy as np
import pytest

from models.network.choose_plan import choose, trained_as
from models.network.choose_profiles import useful_profiles
from models.network.plan import Plan
from models.settings.forecast import ForecastSettings
from models.settings.network import InputSettings, Layer, NetworkSettings, Tokens
from models.settings.training import TrainingSettings


def chosen(panel, network=None, horizon=7, **training):
    forecast = ForecastSettings(frequency=panel.frequency, horizon=horizon, quantile_levels=[0.9, 0.1])
    plans, reasons = choose(panel, forecast, network or NetworkSettings(), TrainingSettings(**training))
    return plans[0], reasons


@pytest.mark.parametrize(
    ("seasons", "length", "segment"),
    [((24, 168), 5_000, 24), ((12,), 300, 12), ((7,), 140, 7), ((52,), 200, 13), ((7,), 20, 1), ((96, 672), 9_000, 48)],
)
def test_a_segment_is_a_season_or_a_part_of_one_that_leaves_a_dozen(make_panel, seasons, length, segment):
    plan, reasons = chosen(make_panel({"a": np.arange(length)}, season_lengths=seasons))
    assert plan.segment == segment
    assert any(f"segment {segment}" in sentence for sentence in reasons)


def test_the_median_is_always_among_the_levels(make_panel):
    plan, _ = chosen(make_panel({"a": np.arange(50)}))
    assert plan.quantile_levels == (0.1, 0.5, 0.9)


def test_seasons_that_were_not_seen_twice_are_left_out(make_panel):
    plan, _ = chosen(make_panel({"a": np.arange(100)}, season_lengths=(24, 168)))
    assert plan.seasons == (24,)


@pytest.fixture
def noisy_days():
    """Days around zero that the seasonal naive forecasts badly, since each value has noise of its own."""
    random = np.random.default_rng(0)
    return 10 * np.sin(np.arange(64 * 24) * 2 * np.pi / 24) + 5 * random.normal(size=64 * 24)


def test_a_season_is_averaged_over_many_cycles_where_no_other_forecast_erred_less(make_panel, noisy_days):
    plan, reasons = chosen(make_panel({"a": noisy_days}, season_lengths=(24, 192)))
    # Of the longer season the series holds eight cycles.
    assert plan.seasons == (24, 192)
    assert plan.profile_seasons == (24,)
    assert "means over many cycles of 24 steps: no simple forecast erred less" in reasons
    plan, _ = chosen(make_panel({"a": np.cumsum(noisy_days)}, season_lengths=(24, 192)))
    assert plan.profile_seasons == ()


def test_a_season_of_few_cycles_or_of_many_zeros_is_not_averaged(make_panel, noisy_days):
    plan, _ = chosen(make_panel({"a": noisy_days[: 16 * 24]}, season_lengths=(24,)))
    assert plan.profile_seasons == (24,)
    plan, _ = chosen(make_panel({"a": noisy_days[: 16 * 24 - 1]}, season_lengths=(24,)))
    assert plan.profile_seasons == ()
    plan, _ = chosen(make_panel({"a": np.maximum(noisy_days, 0)}, season_lengths=(24,)))
    assert plan.profile_seasons == ()


def test_of_very_many_series_a_part_tells_which_seasons_are_averaged(make_panel, noisy_days, monkeypatch):
    series = {f"{number:02}": np.cumsum(noisy_days) if number % 4 else noisy_days for number in range(12)}
    panel = make_panel(series, season_lengths=(24,))
    plan, _ = chosen(panel)
    assert useful_profiles(panel, plan, len(noisy_days)) == ()
    # Every fourth series.
    monkeypatch.setattr("models.network.choose_profiles.ENOUGH_VALUES", len(panel.values) // 4)
    assert useful_profiles(panel, plan, len(noisy_days)) == (24,)


def test_what_the_job_says_is_not_chosen(make_panel):
    network = NetworkSettings(
        segment=1,
        context_length=20,
        layers=[Layer(cell="lstm", units=5), Layer(cell="simple_rnn", units=3)],
        head=[8],
        residual="none",
        input=InputSettings(tokens=Tokens(vocabulary=50, dimension=4), calendar=False),
    )
    plan, reasons = chosen(
        make_panel({"a": np.arange(50)}), network, max_steps=3, batch_size=2, optimizer="sgd", learning_rate=0.5
    )
    assert (plan.segment, plan.recurrent_steps, plan.layers) == (1, 20, (("lstm", 5), ("simple_rnn", 3)))
    assert (plan.head, plan.tokens, plan.calendar, plan.residual) == ((8,), (50, 4), False, False)
    assert (plan.max_steps, plan.batch_size, plan.optimizer, plan.learning_rate) == (3, 2, "sgd", 0.5)
    assert not any("segment" in sentence or "layer" in sentence for sentence in reasons)


@pytest.mark.parametrize(("length", "asked", "steps"), [(199_999, None, 600), (200_000, None, 1_200), (200_000, 7, 7)])
def test_many_values_take_more_steps_also_of_a_warm_start(make_panel, length, asked, steps):
    training = TrainingSettings(max_steps=asked)
    plan, _ = chosen(make_panel({"a": np.arange(length)}), max_steps=asked)
    assert plan.max_steps == steps
    few, _ = chosen(make_panel({"a": np.arange(50)}))
    assert trained_as(few, training, length).max_steps == steps


@pytest.mark.parametrize(
    ("length", "asked", "dropout", "units"), [(19_999, None, 0.3, 64), (20_000, None, 0.0, 128), (19_999, 0.1, 0.1, 64)]
)
def test_few_values_get_a_smaller_network_that_forgets(make_panel, length, asked, dropout, units):
    plan, reasons = chosen(make_panel({"a": np.arange(length)}), NetworkSettings(dropout=asked))
    assert (plan.dropout, plan.layers) == (dropout, (("gru", units),))
    assert any("dropout 0.3" in sentence for sentence in reasons) == (dropout == 0.3)


def test_a_plan_comes_back_from_json(make_panel):
    plan, _ = chosen(make_panel({"a": np.arange(50)}))
    assert Plan.from_dict(json.loads(json.dumps(plan.to_dict()))) == plan


def test_a_panel_of_nothing_observed_still_gets_a_plan(make_panel):
    plan, _ = chosen(make_panel({"a": np.full(3, np.nan)}))
    assert plan.segment >= 1
    assert plan.recurrent_steps >= 1


@pytest.mark.parametrize(("lowest", "asked", "bound"), [(0.0, None, 0.0), (-1.0, None, None), (0.0, -5.0, -5.0)])
def test_what_was_never_negative_is_not_forecast_so(make_panel, lowest, asked, bound):
    panel = make_panel({"a": lowest + np.arange(50.0)})
    forecast = ForecastSettings(frequency="D", horizon=7, lower_bound=asked)
    plans, _ = choose(panel, forecast, NetworkSettings(), TrainingSettings())
    assert [plan.lower_bound for plan in plans] == [bound] * len(plans)


def test_members_differ_in_what_a_series_looks_like_to_them(make_panel):
    panel = make_panel({"a": np.arange(500.0)}, frequency="MS", season_lengths=(12,))
    forecast = ForecastSettings(frequency="MS", horizon=7)
    plans, _ = choose(panel, forecast, NetworkSettings(members=5), TrainingSettings())
    looks = [(plan.segment, plan.level_window, plan.scale_window, plan.layers) for plan in plans]
    assert len(set(looks)) == 5
    assert {plan.segment * plan.recurrent_steps for plan in plans} == {plans[0].segment * plans[0].recurrent_steps}
    # A segment that the job names is every member's.
    named, _ = choose(panel, forecast, NetworkSettings(members=5, segment=12), TrainingSettings())
    assert {plan.segment for plan in named} == {12}
    assert len(choose(panel, forecast, NetworkSettings(), TrainingSettings())[0]) == 1


def test_auto_in_words_leaves_everything_open():
    assert NetworkSettings.model_validate("auto") == NetworkSettings()
