"""Reconciling forecasts of series and of their sums."""

from __future__ import annotations

import numpy as np
import pytest

from models import mint
from models.hierarchy import Hierarchy
from models.levels import Levels
from models.mint import reconciled_means

IDS = np.array(["a/x", "a/y", "b/x", "b/y"])
HIERARCHY = Hierarchy.of(IDS, Levels.of(["store", "item"], [["store"], []]))


def by_formula(base: np.ndarray, covariance: np.ndarray, sums: np.ndarray) -> np.ndarray:
    """(S' W^-1 S)^-1 S' W^-1 y, as Wickramasuriya et al. (2019) write it."""
    weighted = sums.T @ np.linalg.inv(covariance)
    return np.linalg.solve(weighted @ sums, weighted @ base)


@pytest.fixture
def past():
    """Errors of many cases, sums first, of forecasts that were each made for themselves."""
    random = np.random.default_rng(0)
    return np.diag([3.0, 2.0, 2.0, 1.0, 4.0, 1.0, 0.5]) @ random.normal(size=(7, 20_000))


def test_forecasts_are_moved_as_the_formula_says(past):
    random = np.random.default_rng(1)
    sums = np.vstack([HIERARCHY.matrix().toarray(), np.eye(4)])
    upper, below = random.gamma(9.0, size=(3, 5)), random.gamma(3.0, size=(4, 5))
    wanted = by_formula(np.concatenate([upper, below]), np.cov(past), sums)
    assert reconciled_means(upper, below, past, HIERARCHY) == pytest.approx(wanted, rel=0.01)


def test_units_do_not_matter(past):
    upper, below = np.full((3, 2), 9.0), np.full((4, 2), 2.0)
    made = reconciled_means(upper, below, past, HIERARCHY)
    assert reconciled_means(1e-6 * upper, 1e-6 * below, 1e-6 * past, HIERARCHY) == pytest.approx(1e-6 * made, rel=1e-5)
    assert reconciled_means(1e9 * upper, 1e9 * below, 1e9 * past, HIERARCHY) == pytest.approx(1e9 * made, rel=1e-5)


def test_forecasts_that_add_up_stay_as_they_are(past):
    below = np.random.default_rng(1).gamma(3.0, size=(4, 5))
    assert reconciled_means(HIERARCHY.sums(below), below, past, HIERARCHY) == pytest.approx(below, rel=1e-6)


def test_many_series_are_reconciled_by_the_variances_of_their_errors_alone(past, monkeypatch):
    monkeypatch.setattr(mint, "LARGEST", 6)
    past[4] += past[3]
    sums = np.vstack([HIERARCHY.matrix().toarray(), np.eye(4)])
    upper, below = np.full((3, 2), 9.0), np.arange(8.0).reshape(4, 2)
    wanted = by_formula(np.concatenate([upper, below]), np.diag((past**2).mean(axis=1)), sums)
    assert reconciled_means(upper, below, past, HIERARCHY) == pytest.approx(wanted, rel=1e-3)


def test_what_has_no_known_errors_or_none_at_all_is_left_alone(past):
    upper, below = np.full((3, 2), 9.0), np.full((4, 2), 2.0)
    past[3, :] = np.nan
    past[5, :50] = np.nan
    past[6, :] = 0.0
    made = reconciled_means(upper, below, past[:, :200], HIERARCHY)
    assert np.isfinite(made).all()
    assert made[[0, 3]] == pytest.approx(below[[0, 3]], abs=1e-3)
    assert (made[1] > 2.1).all()
    assert (reconciled_means(upper, below, np.full((7, 3), np.nan), HIERARCHY) == below).all()
    assert (reconciled_means(upper, below, np.zeros((7, 3)), HIERARCHY) == below).all()


def test_without_the_package_the_remedy_is_named(monkeypatch):
    monkeypatch.setattr(mint.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"not installed.*requirements/hierarchy.txt.*bottom_up"):
        mint.require_mint()
