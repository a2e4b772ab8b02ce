"""Errors at cutoffs within the history."""

from __future__ import annotations

import numpy as np
import pytest

from models.hierarchy.past_errors import past_cutoffs, past_errors, rewind

NAN = np.nan


def test_an_earlier_panel_has_seen_nothing_that_came_later(make_panel):
    panel = make_panel(
        {"a": [1.0, 2.0, 3.0], "b": [4.0, 5.0]},
        horizon=2,
        known_future=np.arange(9, dtype=np.float32)[:, None],
        known_future_names=("price",),
        observed_past=np.arange(5, dtype=np.float32)[:, None],
        observed_past_names=("visitors",),
    )
    before = rewind(panel, 1)
    assert before.cutoff_index == panel.cutoff_index - 1
    assert before.values.tolist() == pytest.approx([NAN, 1, 2, NAN, 4], nan_ok=True)
    # Of three values and two steps ahead the first series now has two values, and again two steps ahead.
    assert before.known_future.ravel().tolist() == pytest.approx([NAN, 0, 1, 2, 3, NAN, 5, 6, 7], nan_ok=True)
    assert before.observed_past.ravel().tolist() == pytest.approx([NAN, 0, 1, NAN, 3], nan_ok=True)
    assert np.isnan(rewind(panel, 3).values).all()


def test_errors_are_forecasts_less_what_came_true(make_panel):
    panel = make_panel({"a": np.arange(20.0), "b": [5.0, NAN, 7.0]}, horizon=2)

    def last_value(before):
        return np.repeat(before.tail(1), 2, axis=1)

    # From 4 and 2 steps ago `a` stood at 15 and 17, and `b` had not begun: the first it was seen to be is 5.
    errors = past_errors(panel, [4, 2], last_value)
    assert errors[0].tolist() == [-1, -2, -1, -2]
    assert errors[1].tolist() == pytest.approx([NAN, NAN, NAN, -2], nan_ok=True)


def test_past_cutoffs_are_a_season_apart_and_leave_half_of_the_history(make_panel):
    assert past_cutoffs(make_panel({"a": np.zeros(200)})) == [7, 14, 21, 28, 35, 42, 49, 56]
    assert past_cutoffs(make_panel({"a": np.zeros(30), "b": [1.0]})) == [7, 14]
    assert past_cutoffs(make_panel({"a": np.zeros(13)})) == []
