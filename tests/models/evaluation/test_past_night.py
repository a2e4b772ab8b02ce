"""Stored rows of a night beside the actuals that have arrived."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

NAN = float("nan")


def test_a_forecast_is_laid_beside_the_actual_of_its_own_step(panel_of, night_of):
    panel = panel_of([1, 2, 3, 10, 20], [5, NAN, 7])
    night = night_of(panel, 98, [(0, 1, [9, 10, 11], 3), (0, 2, [9, 21, 30], 2), (1, 1, [0, 1, 2], NAN)])
    np.testing.assert_array_equal(night.actual, [[10, 20, NAN], [NAN, NAN, NAN]])
    assert night.realised.tolist() == [[True, True, False], [False, False, False]]


def test_a_series_that_is_gone_from_the_source_is_left_out(panel_of, night_of):
    night = night_of(panel_of([1, 2]), 99, [(-1, 1, [1, 2, 3], 1), (0, 1, [0, 2, 4], 1)])
    assert night.realised.sum() == 1


def test_a_night_with_no_step_behind_it_has_no_actual(panel_of, night_of):
    night = night_of(panel_of([1, 2, 3]), 100, [(0, 1, [1, 2, 3], 2)])
    assert np.isnan(night.actual).all()


def test_a_segment_has_the_version_that_forecast_it_beside_the_fallback_or_alone(panel_of, night_of):
    rows = [(series, 1, [1, 2, 3], 1) for series in range(4)]
    night = night_of(panel_of(*[[1, 2]] * 5), 99, rows)
    night = replace(night, versions=("v1", "", "v2"), version=np.array([0, 1, 2, 1, -1]))
    series = np.arange(5)

    assert night.version_of(series < 2) == "v1"
    assert night.version_of((series == 1) | (series == 3)) == "fallback"
    assert night.version_of(series < 3) is None
    assert night.version_of(series == 4) is None
    found = night.version_segments(series < 2)
    assert {name: mask.tolist() for name, mask in found.items()} == {
        "version=v1": [True, False, False, False, False],
        "version=fallback": [False, True, False, False, False],
    }
