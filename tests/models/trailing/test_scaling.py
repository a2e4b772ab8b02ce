from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from models.trailing.scaling import scale_panel, step_spread


def test_the_level_is_the_trailing_mean_and_the_scale_the_trailing_deviation(make_panel):
    values = np.random.default_rng(0).normal(50, 5, size=60)
    scaling = scale_panel(make_panel({"a": values}), 7, 14, (7,))
    assert scaling.level[40] == pytest.approx(values[34:41].mean(), rel=1e-5)
    assert scaling.scale[40] == pytest.approx(values[27:41].std(), rel=1e-5)


def test_the_error_is_what_the_seasonal_naive_missed_by_and_the_change_where_the_series_heads(make_panel):
    values = np.random.default_rng(0).normal(50, 5, size=60)
    scaling = scale_panel(make_panel({"a": values}), 7, 14, (7,))
    difference = values[7:] - values[:-7]
    # Of position 40: the fourteen differences that end there, and the newest one (a quarter of a season).
    scale = values[27:41].std()
    assert scaling.error[40, 0] == pytest.approx(np.abs(difference[20:34]).mean() / scale, rel=1e-4)
    assert scaling.change[40, 0] == pytest.approx(difference[33] / scale, rel=1e-4)


def test_a_series_not_yet_a_season_old_is_known_no_better_than_its_scale(make_panel):
    scaling = scale_panel(make_panel({"a": np.arange(20.0)}), 7, 14, (7,))
    np.testing.assert_array_equal(scaling.error[:7], 1.0)
    np.testing.assert_array_equal(scaling.change[:7], 0.0)


def test_missing_values_do_not_count(make_panel):
    values = np.arange(30.0)
    values[[20, 25]] = np.nan
    scaling = scale_panel(make_panel({"a": values}), 7, 14, (7,))
    assert scaling.level[26] == pytest.approx(np.nanmean(values[20:27]))


def test_a_series_knows_nothing_of_its_neighbour_in_the_flat_array(make_panel):
    alone = scale_panel(make_panel({"b": np.arange(20.0)}), 7, 14, (7,))
    beside = scale_panel(make_panel({"a": 1e6 * np.ones(20), "b": np.arange(20.0)}), 7, 14, (7,))
    np.testing.assert_allclose(beside.level[20:], alone.level, rtol=1e-5)
    np.testing.assert_allclose(beside.scale[20:], alone.scale, rtol=1e-5)


def test_a_huge_neighbour_takes_no_digits_from_a_small_series(make_panel):
    small = 1e-9 * (3 + np.tile([0.0, 1.0], 20))
    alone = scale_panel(make_panel({"b": small}), 7, 14, (7,))
    huge = np.where(np.arange(40) == 20, 1e30, 1e9 * np.arange(40.0))
    beside = scale_panel(make_panel({"a": huge, "b": small}), 7, 14, (7,))
    np.testing.assert_allclose(beside.level[40:], alone.level, rtol=1e-5)
    np.testing.assert_allclose(beside.scale[40:], alone.scale, rtol=1e-5)


def test_nothing_later_is_known_earlier(make_panel):
    values = np.random.default_rng(0).normal(size=50)
    poisoned = np.where(np.arange(50) > 30, 1e9, values)
    clean, other = (scale_panel(make_panel({"a": each}), 7, 14, (7,)) for each in (values, poisoned))
    np.testing.assert_array_equal(clean.level[:31], other.level[:31])
    np.testing.assert_array_equal(clean.scale[:31], other.scale[:31])
    np.testing.assert_allclose(clean.error[:31], other.error[:31], rtol=1e-6)
    np.testing.assert_allclose(clean.change[:31], other.change[:31], rtol=1e-6, atol=1e-7)


def test_a_large_level_does_not_swallow_a_small_swing(make_panel):
    swing = np.tile([0.0, 1.0], 50)
    scaling = scale_panel(make_panel({"a": 1e6 + swing}), 7, 14, (7,))
    # A thousandth of the level is the floor of the scale.
    assert scaling.scale[-1] == pytest.approx(1e3, rel=1e-3)
    assert scaling.level[-1] == pytest.approx(1e6, rel=1e-6)


@given(
    st.lists(
        hnp.arrays(np.float32, st.integers(0, 12), elements=st.floats(width=32, allow_infinity=False)),
        min_size=1,
        max_size=4,
    )
)
def test_scaling_is_finite_and_positive_whatever_the_panel_holds(make_panel_of_lists, arrays):
    panel = make_panel_of_lists(arrays)
    scaling = scale_panel(panel, 4, 8, (2, 4))
    assert np.isfinite(scaling.level).all()
    assert np.isfinite(scaling.scale).all()
    assert (scaling.scale > 0).all()
    assert np.isfinite(step_spread(panel)).all()
    assert (step_spread(panel) > 0).all()
    assert np.isfinite(scaling.change).all()
    assert (scaling.error > 0).all()
    assert scaling.error.shape == scaling.change.shape == (len(scaling.level), 2)


def test_scaling_at_some_positions_is_that_of_everywhere(make_panel_of_lists):
    random = np.random.default_rng(0)
    panel = make_panel_of_lists([np.where(random.random(n) < 0.2, np.nan, random.normal(size=n)) for n in (40, 3, 25)])
    everywhere = scale_panel(panel, 4, 8, (2, 4))
    at = np.array([67, 0, 41, 41, 12])
    for some, every in zip(scale_panel(panel, 4, 8, (2, 4), at), everywhere, strict=True):
        np.testing.assert_array_equal(some, every[at])
