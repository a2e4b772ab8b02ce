"""Challengers against statsforecast called directly, and numbers worked by hand."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from statsforecast.models import AutoETS, Theta

from models.baselines import challengers
from models.baselines.challengers import (
    CHALLENGERS,
    challenge,
    challenger_quantiles,
    filled_forward,
    require_challengers,
)
from models.baselines.fallback import fallback
from models.errors import InputError

LEVELS = np.array([0.05, 0.25, 0.5, 0.75, 0.9])
HORIZON = 7


@pytest.mark.parametrize(("name", "model"), [("auto_ets", AutoETS), ("theta", Theta)])
def test_quantiles_are_the_ends_of_the_intervals_that_statsforecast_gives(name, model, make_weekly):
    values = make_weekly(1, 70)["s000"]
    theirs = model(season_length=7).forecast(y=values, h=HORIZON, level=[50, 80, 90])

    found = challenger_quantiles(name, 7, HORIZON, LEVELS, values)

    ends = np.stack([theirs[end] for end in ("lo-90", "lo-50", "mean", "hi-50", "hi-80")], axis=1)
    np.testing.assert_array_equal(found, ends)


@pytest.mark.parametrize("name", CHALLENGERS)
def test_the_level_of_a_constant_series_is_all_that_comes(name):
    found = challenger_quantiles(name, 7, 3, LEVELS, np.full(40, 5.0))

    np.testing.assert_allclose(found, 5.0, atol=1e-3)


def test_exponential_smoothing_goes_on_along_a_straight_line():
    found = challenger_quantiles("auto_ets", 1, 3, np.array([0.5]), np.arange(1.0, 21.0))

    np.testing.assert_allclose(found, [[21.0], [22.0], [23.0]], atol=1e-3)


def test_an_interval_that_misses_its_own_point_forecast_is_widened_to_hold_it():
    values = np.arange(1.0, 8.0)
    theirs = Theta(season_length=7).forecast(y=values, h=HORIZON, level=[90])
    missed = theirs["hi-90"] < theirs["mean"]
    assert missed.any()

    found = challenger_quantiles("theta", 7, HORIZON, np.array([0.05, 0.5, 0.95]), values)

    np.testing.assert_array_equal(found[:, 1], theirs["mean"])
    np.testing.assert_array_equal(found[missed, 2], theirs["mean"][missed])
    assert (np.diff(found, axis=1) >= 0).all()


def test_a_gap_holds_the_value_before_it_and_a_series_begins_with_its_first_value():
    values = np.array([np.nan, np.nan, 2, np.nan, np.nan, 7, np.nan], np.float32)

    np.testing.assert_array_equal(filled_forward(values), [2.0, 2.0, 2.0, 7.0, 7.0])
    assert len(filled_forward(np.full(3, np.nan, np.float32))) == 0


def test_each_series_is_forecast_alone_with_its_gaps_filled(make_panel, make_weekly):
    whole = make_weekly(2, 70)
    whole["s001"][[0, 30, 69]] = np.nan
    panel = make_panel(whole)

    found = challenge("theta", panel, LEVELS)

    for i in range(2):
        alone = challenger_quantiles("theta", 7, HORIZON, LEVELS, filled_forward(panel.series(i)))
        np.testing.assert_array_equal(found.quantiles[i], alone)
    assert found.reason.tolist() == ["", ""]


@pytest.mark.parametrize("name", CHALLENGERS)
def test_where_a_challenger_cannot_forecast_the_seasonal_naive_does_and_the_reason_is_kept(
    name, make_panel, make_weekly
):
    values = {**make_weekly(1, 70), "short": [3.0, 4.0], "refused": [1.0] * 60, "unseen": [np.nan] * 9}
    panel = make_panel(values, refused={"refused": "two values for one day"})

    found = challenge(name, panel, LEVELS)

    reasons = dict(zip(panel.series_ids.tolist(), found.reason.tolist(), strict=True))
    assert reasons == {
        "s000": "",
        "short": f"{name} failed: tiny datasets",
        "refused": "two values for one day",
        "unseen": "no observed value",
    }
    instead = found.reason != ""
    np.testing.assert_array_equal(found.quantiles[instead], fallback(panel, HORIZON, LEVELS)[0][instead])


def test_a_forecast_that_is_not_finite_is_a_failure(make_panel, make_weekly, monkeypatch):
    class Endless:
        def forecast(self, y, h, level):
            return {"mean": np.full(h, np.inf)}

    monkeypatch.setattr(challengers, "_model", lambda name, season_length: Endless())

    found = challenge("theta", make_panel(make_weekly(1, 70)), [0.5])

    assert found.reason.tolist() == ["theta failed: no finite value"]
    assert np.isfinite(found.quantiles).all()


def test_a_library_that_does_not_import_is_no_fault_of_a_series(make_panel, make_weekly, monkeypatch):
    monkeypatch.setitem(sys.modules, "statsforecast", None)

    with pytest.raises(ImportError):
        challenge("theta", make_panel(make_weekly(1, 70)), LEVELS)


def test_no_forecast_is_beyond_the_bounds(make_panel, make_weekly):
    panel = make_panel({**make_weekly(2, 70, noise=2.0), "short": [3.0, 4.0]})
    free = challenge("theta", panel, LEVELS).quantiles
    low, high = np.quantile(free, [0.3, 0.7])

    bound = challenge("theta", panel, LEVELS, low, high).quantiles

    np.testing.assert_array_equal(bound[:2], np.clip(free[:2], low, high))
    assert low <= bound.min() <= bound.max() <= high


def test_quantiles_without_a_point_forecast_are_refused(weekly_panel):
    with pytest.raises(ValueError, match=r"\[0.1, 0.9\] lack 0.5"):
        challenge("theta", weekly_panel, [0.1, 0.9])
    with pytest.raises(ValueError, match=r"\[0.1, 0.9\] lack 0.5"):
        challenger_quantiles("theta", 7, HORIZON, np.array([0.1, 0.9]), np.arange(30.0))


def test_an_unknown_or_missing_challenger_is_an_error_with_its_remedy(monkeypatch):
    require_challengers(["theta", "auto_ets"])
    with pytest.raises(InputError, match="called prophet, croston; choose from auto_ets, theta"):
        require_challengers(["theta", "prophet", "croston"])
    monkeypatch.setitem(sys.modules, "statsforecast", None)
    with pytest.raises(InputError, match=r"theta and auto_ets .* not installed.* requirements/challengers.txt"):
        require_challengers(["theta", "auto_ets"])
    require_challengers([])
