"""Two networks on the same points: as each would have forecast alone, and nothing of what came after."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.hierarchy.past_errors import rewind
from models.lifecycle import comparison
from models.lifecycle.comparison import Rivals, compare, compare_held_out
from models.lifecycle.paired_sums import PairedSums
from models.metrics.statistics import pinball_of_each
from models.settings.forecast import ForecastSettings
from models.settings.network import NetworkSettings
from models.settings.training import TrainingSettings
from models.training.fit import fit

FORECAST = ForecastSettings(frequency="D", horizon=7, quantile_levels=[0.1, 0.5, 0.9])
NETWORK = NetworkSettings(layers=[{"cell": "gru", "units": 4}], segment=7, context_length=14)


@pytest.fixture(scope="module")
def panel(make_panel, make_weekly):
    return make_panel(make_weekly(4, 200), horizon=7)


@pytest.fixture(scope="module")
def networks(panel, kept_graphs):
    return [fit(panel, FORECAST, NETWORK, TrainingSettings(max_steps=5, seed=seed))[0] for seed in (0, 1)]


def masks(panel):
    return {"all": np.ones(len(panel), bool), "first": np.arange(len(panel)) == 0}


def rivals(panel, networks):
    challenger, champion = networks
    return Rivals(challenger, champion, panel, FORECAST, masks(panel))


def test_both_lose_what_each_cutoffs_forecasts_alone_would_have_lost(panel, networks):
    found = compare(rivals(panel, networks), judged=3)

    units = np.array([np.abs(panel.series(i)[-near:][7:] - panel.series(i)[-near:][:-7]).mean() for i in range(4)
                      for near in [min(200, comparison.look_back(networks[0], networks[1], 3))]])  # fmt: skip
    expected = np.zeros((3, 5))
    for back in range(1, 10):
        nights = [network.predict(rewind(panel, back)) for network in networks]
        for step in range(1, 8):
            day = 3 - 1 - (back - step)
            if not 0 <= day < 3:
                continue
            actual = panel.tail(1, skip=back - step).astype(float)
            expected[day, 0] += 4
            for column, night in enumerate(nights):
                quantiles = night.quantiles[:, step - 1 : step]
                loss = pinball_of_each(actual, quantiles, night.quantile_levels)[:, 0] / units
                expected[day, 1 + column] += loss.sum()
                expected[day, 3 + column] += ((quantiles[..., 0] <= actual) & (actual <= quantiles[..., -1])).sum()
    assert expected[:, 0].tolist() == [4 * 7] * 3
    np.testing.assert_allclose(found.by_step, expected, rtol=1e-4)
    assert found.total == pytest.approx(tuple(expected.sum(axis=0)), rel=1e-4)
    assert found.segments["first"].n == 3 * 7


def test_a_network_beside_itself_is_neither_better_nor_worse(panel, networks):
    found = compare(rivals(panel, networks[:1] * 2), judged=5)
    assert found.total.difference == 0
    assert found.total.inside == found.total.champion_inside


def test_no_origin_is_older_than_asked_for_and_refused_series_are_left_out(panel, networks):
    refusing = replace(panel, refused={str(panel.series_ids[1]): "too odd"})
    found = compare(rivals(refusing, networks), judged=3, oldest=1)
    assert found.by_step[:, 0].tolist() == [0, 0, 3]


def test_what_was_not_observed_is_not_judged(panel, networks):
    values = panel.values.copy()
    values[panel.offsets[1:] - 1] = np.nan
    found = compare(rivals(replace(panel, values=values), networks), judged=2)
    assert found.by_step[:, 0].tolist() == [28, 0]
    assert np.isfinite(found.by_step).all()


def test_of_many_series_some_windows_are_asked_evenly(panel, networks, monkeypatch):
    whole = compare(rivals(panel, networks), judged=1)
    monkeypatch.setattr(comparison, "MOST_WINDOWS", 9)
    found = compare(rivals(panel, networks), judged=1)
    assert whole.total.n == 28
    assert 5 <= found.total.n <= 9
    # Seven origins and every fifth window: each step has its turn.
    assert found.segments["first"].n >= 1


def test_nothing_to_judge_is_no_points(panel, networks):
    assert compare(rivals(panel, networks), judged=0).total == PairedSums()
    none = compare(rivals(panel, networks), judged=2, eligible=np.zeros(4, bool))
    assert (none.total, none.segments["all"]) == (PairedSums(), PairedSums())


def test_held_out_steps_are_those_that_neither_has_learnt_from(panel, networks):
    # Twice the season is held out; a younger champion has seen all but the steps since.
    for age, judged in ((100, 14), (5, 5), (0, 0)):
        assert len(compare_held_out(rivals(panel, networks), age).by_step) == judged


def test_before_settling_a_network_is_what_it_would_be_without_the_newest_windows(panel, monkeypatch, kept_graphs):
    settings = TrainingSettings(max_steps=10)
    trained, _ = fit(panel, FORECAST, NETWORK, settings)
    monkeypatch.setattr("models.training.loop.SETTLING_SHARE", 0.0)
    never_settled, _ = fit(panel, FORECAST, NETWORK, settings)
    before, after = trained.before_settling().members[0].weights, trained.members[0].weights
    for name, weights in never_settled.members[0].weights.items():
        np.testing.assert_array_equal(before[name], weights)
    assert any((before[name] != after[name]).any() for name in after)
