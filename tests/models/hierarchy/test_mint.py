"""Reconciling forecasts of series and of their aggregates."""

from __future__ import annotations

import numpy as np
import pytest

from models.hierarchy import mint
from models.hierarchy.aggregation_levels import AggregationLevels
from models.hierarchy.hierarchy import Hierarchy
from models.hierarchy.mint import reconciled_means, repeats_one_value

IDS = np.array(["a/x", "a/y", "b/x", "b/y"])
HIERARCHY = Hierarchy.of(IDS, AggregationLevels.of(["store", "item"], [["store"], []]))
SUMS = np.vstack([HIERARCHY.matrix().toarray(), np.eye(4)])
NOTHING = np.zeros(4, bool)


def by_formula(base: np.ndarray, variances: np.ndarray) -> np.ndarray:
    """(S' W^-1 S)^-1 S' W^-1 y, as Wickramasuriya et al. (2019) write it."""
    weighted = SUMS.T / variances
    return np.linalg.solve(weighted @ SUMS, weighted @ base)


@pytest.fixture
def past():
    """Errors of 200 cases of different sizes, sums first; some are not known."""
    random = np.random.default_rng(0)
    errors = np.array([[30.0], [2.0], [2.0], [1.0], [4.0], [1.0], [0.05]]) * random.normal(size=(7, 200))
    errors[1, :150] = np.nan
    errors[5, ::2] = np.nan
    return errors


@pytest.fixture
def base():
    random = np.random.default_rng(1)
    return random.gamma(9.0, size=(3, 5)), random.gamma(3.0, size=(4, 5))


def test_forecasts_are_moved_as_in_the_formula(past, base):
    aggregate, below = base
    wanted = by_formula(np.concatenate(base), np.nanmean(past**2, axis=1))
    assert reconciled_means(aggregate, below, past, HIERARCHY, NOTHING) == pytest.approx(wanted, rel=1e-6)


def test_units_do_not_matter(past, base):
    made = reconciled_means(base[0], base[1], past, HIERARCHY, NOTHING)
    for unit in (1e-6, 1e9):
        again = reconciled_means(unit * base[0], unit * base[1], unit * past, HIERARCHY, NOTHING)
        assert again == pytest.approx(unit * made, rel=1e-5)


def test_forecasts_that_add_up_stay_as_they_are(past, base):
    below = base[1]
    assert reconciled_means(HIERARCHY.sums(below), below, past, HIERARCHY, NOTHING) == pytest.approx(below, rel=1e-9)


def test_what_is_fixed_or_has_no_known_error_is_not_moved_by_a_hair(past, base):
    aggregate, below = base
    past[3], past[5] = np.nan, 0.0
    made = reconciled_means(aggregate, below, past, HIERARCHY, np.array([False, True, False, False]))
    assert (made[:3] == below[:3]).all()
    # Only b/y is left to move, towards its store and the total.
    weights = 1 / np.nanmean(past[[0, 2, 6]] ** 2, axis=1)
    alone = np.stack([aggregate[0] - below[:3].sum(axis=0), aggregate[2] - below[2], below[3]])
    assert made[3] == pytest.approx((weights[:, None] * alone).sum(axis=0) / weights.sum(), rel=1e-5)


def test_where_nothing_is_known_or_may_move_everything_stays(past, base):
    aggregate, below = base
    assert (reconciled_means(aggregate, below, np.full((7, 3), np.nan), HIERARCHY, NOTHING) == below).all()
    assert (reconciled_means(aggregate, below, np.zeros((7, 3)), HIERARCHY, NOTHING) == below).all()
    assert (reconciled_means(aggregate, below, past, HIERARCHY, ~NOTHING) == below).all()


def test_series_that_keep_coming_back_to_one_value_are_known(make_panel):
    random = np.random.default_rng(0)
    panel = make_panel(
        {
            "constant": np.full(100, 12.0),
            "counts of few": random.poisson(0.5, 300),
            "counts of many": random.poisson(30.0, 300),
            "long ago": [*np.zeros(300), *random.normal(size=256)],
            "never": [np.nan] * 9,
            "one value of five": [7.0, 1.0, 2.0, 3.0, 4.0],
            "two values of five": [7.0, 1.0, np.nan, 7.0, 3.0, 4.0],
        }
    )
    assert dict(zip(panel.series_ids.tolist(), repeats_one_value(panel).tolist(), strict=True)) == {
        "constant": True,
        "counts of few": True,
        "counts of many": False,
        "long ago": False,
        "never": False,
        "one value of five": False,
        "two values of five": True,
    }


def test_without_the_package_the_remedy_is_named(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"not installed.*requirements/hierarchy.txt.*bottom_up"):
        mint.require_mint()
