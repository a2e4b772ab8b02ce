"""Changes of a panel, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from models.explanation.changes import (
    future_positions,
    usual_values,
    with_future,
    without_level_change,
    without_season,
)

NAN = float("nan")


@pytest.fixture
def promoted(make_panel):
    """Two series of 2 and 3 days with a flag and a price, and two days ahead."""
    known = np.array(
        [[0, 2], [1, 4], [1, 9], [0, 9], [0, 1], [0, NAN], [1, 3], [0, 7], [0, 7]],
        np.float32,
    )
    return make_panel(
        {"a": [1.0, 2.0], "b": [3.0, 4.0, 5.0]},
        horizon=2,
        known_future=known,
        known_future_names=("promotion", "price"),
    )


def test_the_newest_season_gets_the_mean_level_of_the_season_before(make_panel):
    panel = make_panel({"a": [5.0, 1, 3, 7, NAN], "b": [4.0, 4.0]}, season_lengths=(2,))
    changed = without_level_change(panel)
    # Before: 1 and 3, a mean of 2; the newest season has only a 7, which becomes 2.
    np.testing.assert_array_equal(changed.series(0), [5, 1, 3, 2, NAN])
    # One season only: nothing is known of the season before.
    np.testing.assert_array_equal(changed.series(1), [4, 4])


def test_a_history_without_its_season_is_its_level(make_panel):
    season = np.array([3.0, -1, -2])
    rising = 10 + 0.5 * np.arange(9)
    panel = make_panel({"flat": 10 + np.tile(season, 3), "rising": rising + np.tile(season, 3)}, season_lengths=(3,))
    changed = without_season(panel)
    np.testing.assert_allclose(changed.series(0), np.full(9, 10.0), rtol=1e-6)
    # A steady rise is level, not season.
    np.testing.assert_allclose(changed.series(1), rising, rtol=1e-6)


def test_the_season_of_a_series_with_one_whole_season_is_not_known(make_panel):
    values = [NAN, 9.0, 1, 2, 3]
    panel = make_panel({"short": values, "gap": [1.0, 5, NAN, 1, 5]}, season_lengths=(3,))
    np.testing.assert_array_equal(without_season(panel).series(1), np.array(values, np.float32))


def test_each_season_length_is_taken_out_in_turn(make_panel):
    step = np.arange(24)
    values = 5 + np.tile([1.0, -1.0], 12) + np.tile([2.0, 2, 0, 0, -2, -2], 4)
    panel = make_panel({"a": values + 0 * step}, season_lengths=(2, 6))
    np.testing.assert_allclose(without_season(panel).series(0), np.full(24, 5.0), atol=1e-5)


def test_a_value_ahead_is_set_at_its_steps_only_and_the_history_stays(promoted):
    changed = with_future(promoted, "price", np.array([5.0, 6.0]), np.array([False, True]))
    np.testing.assert_array_equal(changed.known_future[:, 1], [2, 4, 9, 5, 1, NAN, 3, 7, 6])
    np.testing.assert_array_equal(changed.known_future[:, 0], promoted.known_future[:, 0])
    np.testing.assert_array_equal(promoted.known_future[:, 1], [2, 4, 9, 9, 1, NAN, 3, 7, 7])
    everywhere = with_future(promoted, "promotion", 1.0)
    np.testing.assert_array_equal(everywhere.known_future[future_positions(promoted), 0], np.ones((2, 2)))


def test_the_usual_value_is_0_for_a_flag_and_the_mean_of_the_history_for_a_number(promoted):
    # Of the second series one price is not known: 1 and 3 have a mean of 2. Prices ahead do not count.
    np.testing.assert_array_equal(usual_values(promoted), [[0, 3], [0, 2]])


def test_a_panel_without_known_future_columns_has_no_usual_values(make_panel):
    panel = make_panel({"a": [1.0]})
    assert usual_values(panel).shape == (1, 0)
    with pytest.raises(ValueError, match="no known-future columns"):
        with_future(panel, "promotion", 1.0)
