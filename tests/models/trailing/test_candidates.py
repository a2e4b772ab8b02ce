from __future__ import annotations

import numpy as np
import pytest

from models.trailing.candidates import PRIOR_ERRORS, Candidates
from models.trailing.scaling import scale_panel
from models.trailing.smoothing import PROFILE_SPAN
from models.trailing.window_shape import WindowShape

WINDOW = WindowShape(
    segment=4,
    recurrent_steps=3,
    horizon=6,
    seasons=(4, 8),
    cycles=(2, 1),
    smoothing=(0.3, 0.999),
    profile_seasons=(4,),
    profile_weights=(0.2,),
)


def candidates_of(panel):
    return Candidates(panel, scale_panel(panel, 4, 16, WINDOW.seasons)._asdict(), WINDOW)


@pytest.fixture
def series():
    random = np.random.default_rng(1)
    time = np.arange(80)
    values = 10 + 0.2 * time + 3 * np.sin(2 * np.pi * time / 4) + random.normal(size=80)
    values[[20, 47, 60]] = np.nan
    return values


def forecasts_from(values, scaling, origin, lead):
    """The candidates of one step of one series, straight from their definitions, without the smoothed ones."""
    level, scale, change = scaling.level[origin], scaling.scale[origin], scaling.change[origin]

    def past(distance):
        place = origin + lead - distance
        return values[place] if place >= 0 else np.nan

    cycles = {season: season * -(-lead // season) for season in WINDOW.seasons}
    older = past(cycles[4] + 4)
    lags = [past(cycles[4]), older, past(cycles[8])]
    then = max(origin - 4, 0)
    detrended = level + (older - scaling.level[then]) * scale / scaling.scale[then]
    moved = [lags[0] + change[0] * scale, lags[2] + change[1] * scale]
    return [*lags, detrended, *moved]


def test_the_error_is_the_mean_of_what_each_candidate_missed_lately(make_panel, series):
    panel = make_panel({"a": series}, horizon=6, season_lengths=(4, 8))
    scaling = scale_panel(panel, 4, 16, WINDOW.seasons)
    found = np.exp(candidates_of(panel).errors())
    origin, columns = 70, 6
    errors: list[list[float]] = [[] for _ in range(columns)]
    for lead in WINDOW.error_leads:
        for target in range(origin - WINDOW.error_window + 1, origin + 1):
            if target < lead or np.isnan(series[target]):
                continue
            made_at = target - lead
            for column, forecast in enumerate(forecasts_from(panel.values, scaling, made_at, lead)):
                miss = abs(forecast - series[target]) / scaling.scale[made_at]
                if not np.isnan(miss):
                    errors[column].append(miss)
    prior = found[origin] * 0 + 1
    for column, missed in enumerate(errors):
        # The prior is the mean of all candidates' errors, the same for each; see below.
        prior[column] = (found[origin, column] * (len(missed) + PRIOR_ERRORS) - sum(missed)) / PRIOR_ERRORS
    np.testing.assert_allclose(prior[:columns], prior[0], rtol=1e-4)
    assert min(map(min, errors)) < prior[0] < max(map(max, errors))


def test_a_wandering_series_trusts_its_last_value_and_a_seasonal_one_its_season(make_panel):
    random = np.random.default_rng(2)
    wander = np.cumsum(random.normal(size=120))
    season = np.tile([0.0, 5.0, -2.0, 9.0], 30) + 0.01 * random.normal(size=120)
    panel = make_panel({"wander": wander, "season": season}, horizon=6, season_lengths=(4, 8))
    ends = dict(zip(panel.series_ids, panel.offsets[1:] - 1, strict=True))
    errors = candidates_of(panel).errors(np.array([ends["wander"], ends["season"]]))
    # The profile comes after the last value.
    last_value, last_season = WINDOW.candidate_count - 2, 0
    assert errors[0, last_value] < errors[0, last_season]
    assert errors[1, last_season] < errors[1, last_value] - 2


def test_a_profile_is_the_mean_over_many_cycles_and_errs_least_where_a_season_repeats_itself_with_noise(make_panel):
    random = np.random.default_rng(3)
    season = np.tile([0.0, 5.0, -2.0, 9.0], 30) + random.normal(size=120)
    season[37] = np.nan
    candidates = candidates_of(make_panel({"a": season}, horizon=6, season_lengths=(4, 8)))
    origin = 119
    cycles = season[origin - 4 * np.arange(PROFILE_SPAN)]
    weights = 0.8 ** np.arange(PROFILE_SPAN)
    np.testing.assert_allclose(candidates.profile[origin, 0], (weights * cycles).sum() / weights.sum(), rtol=1e-6)
    # A gap counts for nothing.
    cycles = season[origin - 6 - 4 * np.arange(PROFILE_SPAN)]
    assert np.isnan(season[37])
    assert (origin - 6 - 37) % 4 == 0
    known = ~np.isnan(cycles)
    expected = (weights * cycles)[known].sum() / weights[known].sum()
    np.testing.assert_allclose(candidates.profile[origin - 6, 0], expected, rtol=1e-6)
    errors = candidates.errors(np.array([origin]))[0]
    assert np.argmin(errors) == WINDOW.candidate_count - 1


def test_a_few_origins_get_what_they_get_among_all(make_panel, series):
    panel = make_panel({"a": series, "b": series[50:], "c": series[:3]}, horizon=6, season_lengths=(4, 8))
    candidates = candidates_of(panel)
    at = np.array([0, 5, 79, 85, 109, 112])
    np.testing.assert_allclose(candidates.errors(at), candidates.errors()[at], atol=1e-9)


def test_nothing_depends_on_what_comes_later_or_on_other_series(make_panel, series):
    later = series.copy()
    later[70:] = 1e6
    alone = candidates_of(make_panel({"a": series}, horizon=6, season_lengths=(4, 8)))
    other = candidates_of(make_panel({"a": later, "b": 1e9 * series}, horizon=6, season_lengths=(4, 8)))
    for mine, theirs in zip(
        (alone.errors(), alone.smoothed, alone.drift, alone.profile),
        (other.errors(), other.smoothed, other.drift, other.profile),
        strict=True,
    ):
        np.testing.assert_allclose(mine[:70], theirs[:70], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "values", [[5.0] * 40, [1e30, -1e30] * 20, [np.nan] * 39 + [1.0], [0.0] * 39 + [1e-30], [3.0], [1e-40] * 40]
)
def test_figures_are_finite_whatever_the_series_holds(make_panel, values):
    candidates = candidates_of(make_panel({"a": values}, horizon=6, season_lengths=(4, 8)))
    for figures in (candidates.smoothed, candidates.drift, candidates.errors()):
        assert np.isfinite(figures).all()
        assert np.isfinite(figures.astype(np.float16)).all()
    assert not np.isinf(candidates.profile).any()


def test_without_a_past_all_candidates_are_alike(make_panel):
    errors = candidates_of(make_panel({"a": [3.0]}, horizon=6, season_lengths=(4, 8))).errors()
    np.testing.assert_array_equal(errors, np.zeros((1, WINDOW.candidate_count + 1)))
