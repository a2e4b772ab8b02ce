from __future__ import annotations

import numpy as np
import pytest

from models.calendar.grid import TimeGrid
from models.panel.panel import Panel
from models.settings.forecast import ForecastSettings

NAN = float("nan")


def test_a_series_is_its_own_stretch_of_the_flat_array(make_panel):
    panel = make_panel({"a": [1, 2], "b": [3, 4, 5]})
    assert len(panel) == 2
    np.testing.assert_array_equal(panel.series(1), [3, 4, 5])
    np.testing.assert_array_equal(panel.lengths, [2, 3])


def test_what_is_nan_is_not_observed(make_panel):
    panel = make_panel({"a": [1, NAN], "b": [NAN, NAN, 5]})
    np.testing.assert_array_equal(panel.observed, [True, False, False, False, True])
    np.testing.assert_array_equal(panel.observed_counts, [1, 1])


def test_an_empty_series_has_no_observed_values(make_panel):
    panel = make_panel({"a": [], "b": [1.0], "c": []})
    np.testing.assert_array_equal(panel.observed_counts, [0, 1, 0])


def test_a_series_is_silent_since_its_last_observed_value(make_panel):
    panel = make_panel({"a": [1, NAN, NAN], "b": [NAN, NAN], "c": [], "d": [NAN, 4]})
    np.testing.assert_array_equal(panel.silent_steps, [2, 2, 0, 0])


def test_the_tail_is_aligned_at_the_end_and_nan_before_a_series_began(make_panel):
    panel = make_panel({"a": [1, 2], "b": [3, 4, 5, 6], "c": []})
    np.testing.assert_array_equal(panel.tail(3), [[NAN, 1, 2], [4, 5, 6], [NAN, NAN, NAN]])
    np.testing.assert_array_equal(panel.tail(2, skip=1), [[NAN, 1], [4, 5], [NAN, NAN]])


def test_offsets_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"do not cut 3 values into 1 series"):
        Panel(np.zeros(3, np.float32), np.array([0, 2]), np.array(["a"]), "D", 0, (7,), 1)


def test_a_panel_without_a_series_keeps_the_others_whole(make_panel):
    known = np.arange(14, dtype=np.float32)[:, None]
    panel = make_panel(
        {"a": [1, 2], "b": [3, 4, 5], "c": [6]},
        horizon=2,
        known_future=known[:12],
        known_future_names=("k",),
        observed_past=known[:6],
        observed_past_names=("p",),
        static={"kind": np.array(["x", "y", "z"])},
        refused={"b": "short", "c": "dead"},
    )
    rest = panel.without({"b"})
    np.testing.assert_array_equal(rest.values, [1, 2, 6])
    np.testing.assert_array_equal(rest.offsets, [0, 2, 3])
    np.testing.assert_array_equal(rest.known_future[:, 0], [0, 1, 2, 3, 9, 10, 11])
    np.testing.assert_array_equal(rest.observed_past[:, 0], [0, 1, 5])
    np.testing.assert_array_equal(rest.static["kind"], ["x", "z"])
    assert rest.refused == {"c": "dead"}


def test_a_panel_without_nothing_is_itself(make_panel):
    panel = make_panel({"a": [1]})
    assert panel.without({"other"}) is panel


def test_the_newest_steps_of_every_series_keep_their_covariates(make_panel):
    known = np.concatenate([np.arange(5 + 2), 100 + np.arange(3 + 2)]).astype(np.float32)[:, None]
    past = np.concatenate([np.arange(5), 100 + np.arange(3)]).astype(np.float32)[:, None]
    panel = make_panel(
        {"a": [1, 2, 3, 4, 5], "b": [6, 7, 8]},
        horizon=2,
        known_future=known,
        known_future_names=("k",),
        observed_past=past,
        observed_past_names=("p",),
    )
    newest = panel.newest(4)
    np.testing.assert_array_equal(newest.values, [2, 3, 4, 5, 6, 7, 8])
    np.testing.assert_array_equal(newest.known_future[:, 0], [1, 2, 3, 4, 5, 6, 100, 101, 102, 103, 104])
    np.testing.assert_array_equal(newest.observed_past[:, 0], [1, 2, 3, 4, 100, 101, 102])
    np.testing.assert_array_equal(newest.offsets, [0, 4, 7])
    assert panel.newest(5) is panel


def test_a_series_of_one_value_over_and_over_is_constant(make_panel):
    panel = make_panel({"a": [1, 1, np.nan, 1], "b": [1, 2, 1], "c": [np.nan], "d": [0, 0]})
    np.testing.assert_array_equal(panel.constant, [True, False, True, True])
    np.testing.assert_array_equal(panel.first_observed, [1, 1, 0, 0])


def test_a_panel_and_the_settings_of_a_forecast_give_their_time_grid(make_panel):
    panel = make_panel({"a": [1.0]})
    assert panel.grid == TimeGrid(panel.frequency, panel.time_zone)
    hourly = ForecastSettings(frequency="h", horizon=1, time_zone="Europe/Madrid")
    assert hourly.grid == TimeGrid("h", "Europe/Madrid")
    assert hourly.model_copy(update={"frequency": "D"}).grid == TimeGrid("D", "Europe/Madrid")
