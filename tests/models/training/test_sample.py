"""The series that are learnt from where there are too many values."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import chisquare

from models.panel.panel import Panel
from models.settings.forecast import ForecastSettings
from models.settings.network import InputSettings, Layer, NetworkSettings
from models.settings.training import TrainingSettings
from models.training.fit import fit
from models.training.sample import training_sample


def panel_of(series: int, length: int = 10) -> Panel:
    return Panel(
        values=np.ones(series * length, np.float32),
        offsets=np.arange(series + 1) * length,
        series_ids=np.array([f"s{i:03}" for i in range(series)]),
        frequency="D",
        cutoff_index=1_000,
        season_lengths=(7,),
        horizon=7,
    )


def test_what_fits_is_learnt_from_whole() -> None:
    panel = panel_of(20)
    assert training_sample(panel, 200, 0) is panel


def test_of_more_no_more_is_taken_than_was_asked_for() -> None:
    assert [len(training_sample(panel_of(20), most, 0)) for most in (199, 70, 69, 10, 3)] == [19, 7, 6, 1, 1]


def test_the_same_seed_draws_the_same_series_and_another_seed_others() -> None:
    first, again, other = (set(training_sample(panel_of(200), 500, seed).series_ids) for seed in (0, 0, 1))
    assert first == again
    assert len(first & other) < 25


def test_the_night_after_draws_the_same_series_but_for_those_that_come_or_go() -> None:
    panel = panel_of(200)
    before = set(training_sample(panel, 500, 0).series_ids)
    gone = sorted(before)[0]
    after = set(training_sample(panel.without({gone, "s199"} - (before - {gone})), 500, 0).series_ids)
    assert before - after == {gone}
    assert len(after) == 50


def test_every_series_is_drawn_as_often_as_any_other() -> None:
    panel = panel_of(20)
    drawn = [training_sample(panel, 50, seed).series_ids for seed in range(400)]
    _, counts = np.unique(np.concatenate(drawn), return_counts=True)
    assert counts.sum() == 5 * 400
    assert chisquare(counts).pvalue > 0.01


def test_every_static_category_is_in_the_sample() -> None:
    kind, region = np.array(["common"] * 99 + ["rare"]), np.array(["far"] + ["near"] * 99)
    panel = replace(panel_of(100), static={"kind": kind, "region": region})
    for seed in range(20):
        sample = training_sample(panel, 100, seed)
        assert len(sample) == 10
        assert set(sample.static["kind"]) == {"common", "rare"}
        assert set(sample.static["region"]) == {"far", "near"}


def test_where_there_are_as_many_categories_as_series_the_bound_holds_all_the_same() -> None:
    panel = replace(panel_of(100), static={"own": np.arange(100).astype(str)})
    assert len(training_sample(panel, 100, 0)) == 10


@pytest.fixture(scope="module")
def sampled(make_panel, make_weekly):
    series = make_weekly(6, 1_100)
    # Nobody in the sample goes below zero.
    panel = make_panel(series | {"s005": series["s005"] - 1_000}, horizon=10)
    forecast = ForecastSettings(frequency="D", horizon=10)
    network = NetworkSettings(layers=[Layer(units=4)], input=InputSettings(series_embedding=2))
    training = TrainingSettings(max_steps=25, max_values=2_200)
    return panel, *fit(panel, forecast, network, training)


def test_series_outside_of_the_sample_are_forecast_as_new_ones_are(sampled) -> None:
    panel, forecaster, report = sampled
    assert (report.series, report.all_series) == (2, 6)
    assert set(forecaster.vocabulary.series) == set(training_sample(panel, 2_200, 0).series_ids)
    assert "s005" not in forecaster.vocabulary.series
    assert forecaster.plan.series_embedding == 2
    forecast = forecaster.predict(panel)
    assert set(forecast.source) == {"model"}
    renamed = forecaster.predict(replace(panel, series_ids=np.array([f"new{i}" for i in range(6)])))
    known = np.isin(panel.series_ids, list(forecaster.vocabulary.series))
    np.testing.assert_array_equal(renamed.quantiles[~known], forecast.quantiles[~known])
    assert not np.array_equal(renamed.quantiles[known], forecast.quantiles[known])


def test_what_is_chosen_is_chosen_for_all_series(sampled) -> None:
    # A sample of series above zero must not bound the others.
    assert sampled[1].plan.lower_bound is None
