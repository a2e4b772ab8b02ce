"""Cumulative sums worked by hand, and their limits against chance that is counted."""

from __future__ import annotations

import numpy as np
import pytest

from models.cusum import ALLOWANCES, BLOCK, CAP, follow, limits_for, resample


def test_sums_are_those_worked_by_hand() -> None:
    # Allowance 0.25, limit 2: 0.75, 1.5, 0.25. Allowance 0.5, limit 1: 0.5, 1, 0. Allowance 1, limit 1: 0, 0, 0.
    sums = follow(np.array([1.0, 1.0, -1.0]), np.array([2.0, 1.0, 1.0]))

    assert sums == pytest.approx([0.5, 1.0, 0.125])


def test_a_sum_grows_no_further_than_twice_its_limit() -> None:
    assert follow(np.full(50, 4.0), np.array([5.0, 4.0, 3.0])).max() == CAP


def test_many_years_at_once_are_as_each_alone() -> None:
    z = np.random.default_rng(0).normal(size=(3, 40))
    limits = np.array([[4.0, 3, 2], [5, 4, 3], [6, 5, 4]])

    together = follow(z, limits)

    assert together == pytest.approx(np.stack([follow(*pair) for pair in zip(z, limits, strict=True)]))
    assert follow(np.zeros((3, 0)), limits).shape == (3, 0)


def test_drawn_nights_keep_their_neighbours() -> None:
    drawn = resample(100, 5, 40, seed=1)

    assert drawn.shape == (5, 40)
    steps = np.diff(drawn[:, :BLOCK]) % 100
    assert (steps == 1).all()
    assert (resample(100, 5, 40, seed=1) == drawn).all()


@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_limits_are_exceeded_as_often_as_asked(rate: float) -> None:
    random = np.random.default_rng(2)
    limits = limits_for(random.normal(size=(4000, 100)), rate)

    exceeded = follow(random.normal(size=(4000, 100)), limits).max(axis=1) > 1

    assert exceeded.mean() == pytest.approx(rate, abs=0.03)
    # A larger allowance leaves smaller sums.
    assert (np.diff(limits) < 0).all()
    assert len(limits) == len(ALLOWANCES)
