"""Paired differences: by hand, and how often their intervals hold the truth."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from models.metrics.paired_difference import paired_difference

NAN = float("nan")


def test_errors_of_a_cutoff_and_of_a_series_go_together():
    apart, cutoff, series = np.array([1.0, 3.0, 5.0, 7.0]), np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])
    found = paired_difference(10 + apart, np.full(4, 10.0), cutoff, series)
    assert (found.mean, found.second, found.better, found.cutoffs, found.series) == (4, 10, 0, 2, 2)
    # By cutoff (4^2 + 4^2) / 4^2 * 2 = 4, by series 1, of single pairs 20 / 4^2 * 4 / 3: the largest of 4, 1 and 3.3.
    half = scipy.stats.t.ppf(0.975, 1) * 2
    assert (found.low, found.high) == (pytest.approx(4 - half), pytest.approx(4 + half))


def test_one_cutoff_leaves_series_as_clusters_and_one_series_leaves_nothing():
    apart = np.array([-1.0, -2.0, -6.0])
    found = paired_difference(apart, np.zeros(3), np.zeros(3, np.int64), np.arange(3))
    deviation = apart.std(ddof=1) / np.sqrt(3)
    assert found.high - found.mean == pytest.approx(scipy.stats.t.ppf(0.975, 2) * deviation)
    assert (found.better, found.cutoffs) == (1.0, 1)
    alone = paired_difference(apart[:1], np.zeros(1), np.zeros(1, np.int64), np.zeros(1, np.int64))
    assert alone.mean == -1
    assert np.isnan([alone.low, alone.high]).all()


def test_what_one_of_the_two_was_not_judged_on_is_left_out():
    found = paired_difference(np.array([1.0, NAN, 5.0]), np.array([0.0, 9.0, NAN]), np.arange(3), np.arange(3))
    assert (found.mean, found.series) == (1.0, 1)
    assert np.isnan(paired_difference(np.array([NAN]), np.array([1.0]), np.arange(1), np.arange(1)).mean)


@pytest.mark.parametrize("cutoffs", [4, 12])
def test_intervals_hold_the_truth_nineteen_times_in_twenty_also_with_few_cutoffs(cutoffs):
    rng = np.random.default_rng(5)
    cutoff, series = np.repeat(np.arange(cutoffs), 30), np.tile(np.arange(30), cutoffs)
    held = 0
    for _ in range(400):
        apart = rng.normal(0, 1, cutoffs)[cutoff] + rng.normal(0, 1, 30)[series] + rng.normal(0, 1, len(cutoff))
        found = paired_difference(apart, np.zeros(len(cutoff)), cutoff, series)
        held += found.low < 0 < found.high
    assert held / 400 == pytest.approx(0.95, abs=0.035)
