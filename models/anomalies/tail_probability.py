"""How probable a forecast held an actual as far out: from its quantiles, and a stated tail beyond them."""

from __future__ import annotations

import numpy as np

from models.arrays import BoolArray, FloatArray, IntArray
from models.monitoring.pareto_tail import pareto_rarity

LEAST = 1e-12
"""The smallest probability that is told apart; what is rarer counts as this."""
_ROWS_AT_ONCE = 100_000


def tail_probability(
    actual: FloatArray, quantiles: FloatArray, quantile_levels: FloatArray, spread: FloatArray | None = None
) -> tuple[FloatArray, BoolArray]:
    """The probability, by the forecast, of an actual as far out as this one, to either side.

    Twice the probability of the side on which the actual lies, at most 1. Between two quantiles the distribution is
    linear. An actual that equals quantiles of several levels is as probable as the most probable of them allows, so
    that a forecast of counts does not call its commonest value rare.

    Beyond the outermost quantile the tail is a generalised Pareto one of index `pareto_tail.HEAVY`. It begins at the
    first quantile inward whose tail is twice as probable, and goes through the outermost one.

    Args:
        actual: Shape (row,); NaN where not observed.
        quantiles: Shape (row, level), in the units of `actual`, ascending along levels.
        quantile_levels: Shape (level,), ascending, each in (0, 1).
        spread: Shape (row,), what stands in for the distance between the two quantiles of a tail where they are equal,
            and so say nothing of it; 0 everywhere where None.

    Returns:
        The probability, shape (row,), from `LEAST` to 1, and whether the actual lies on the upper side. NaN where the
        actual or a quantile is NaN, and everywhere where there are fewer than two levels.

    Raises:
        ValueError: the shapes do not agree.

    >>> levels, row = np.array([0.1, 0.25, 0.5, 0.75, 0.9]), np.array([[0.0, 5.0, 10.0, 15.0, 20.0]])
    >>> [round(float(tail_probability(np.array([y]), row, levels)[0][0]), 3) for y in (10.0, 17.5, 20.0, 30.0, -30.0)]
    [1.0, 0.35, 0.2, 0.051, 0.008]
    """
    actual, quantiles = np.asarray(actual, np.float64), np.asarray(quantiles, np.float64)
    if quantiles.shape != (len(actual), len(quantile_levels)):
        raise ValueError(
            f"quantiles have the shape {quantiles.shape}, but there are {len(actual)} actuals and "
            f"{len(quantile_levels)} quantile levels"
        )
    spread = np.zeros(len(actual)) if spread is None else np.asarray(spread, np.float64)
    probability, above = np.full(len(actual), np.nan), np.zeros(len(actual), bool)
    if len(quantile_levels) < 2:
        return probability, above
    for first in range(0, len(actual), _ROWS_AT_ONCE):
        rows = slice(first, first + _ROWS_AT_ONCE)
        upper = _upper_tail(actual[rows], quantiles[rows], quantile_levels, spread[rows])
        # The lower tail is the upper one of the mirrored distribution.
        lower = _upper_tail(-actual[rows], -quantiles[rows, ::-1], 1 - quantile_levels[::-1], spread[rows])
        probability[rows] = np.clip(2 * np.minimum(upper, lower), LEAST, 1.0)
        above[rows] = upper < lower
    return probability, above


def _upper_tail(actual: FloatArray, quantiles: FloatArray, levels: FloatArray, spread: FloatArray) -> FloatArray:
    """The probability of the actual or more, shape (row,)."""
    below = (quantiles < actual[:, None]).sum(axis=1)
    inner = np.clip(below, 1, len(levels) - 1)
    inside = _between(actual, quantiles, levels, inner)
    # Under the lowest quantile the other side decides; its level is the most that this side says.
    upper = np.where(below == 0, 1 - levels[0], inside)
    outside = below == len(levels)
    if outside.any():
        upper[outside] = _beyond(actual[outside], quantiles[outside], levels, spread[outside])
    return np.where(np.isnan(actual) | np.isnan(quantiles).any(axis=1), np.nan, upper)


def _between(actual: FloatArray, quantiles: FloatArray, levels: FloatArray, right: IntArray) -> FloatArray:
    """1 minus the level of an actual above the quantile `right - 1` and not above that of `right`."""
    row = np.arange(len(actual))
    low, high = quantiles[row, right - 1], quantiles[row, right]
    gap = np.where(high > low, high - low, 1.0)
    share = np.clip((actual - low) / gap, 0.0, 1.0)
    return np.asarray(1 - (levels[right - 1] + share * (levels[right] - levels[right - 1])))


def _beyond(actual: FloatArray, quantiles: FloatArray, levels: FloatArray, spread: FloatArray) -> FloatArray:
    """The probability of an actual above the highest quantile."""
    tails = 1 - levels
    begin = int(np.flatnonzero(tails[:-1] >= min(2 * tails[-1], tails[-2]) * (1 - 1e-9))[-1])
    base = quantiles[:, begin]
    distance = quantiles[:, -1] - base
    distance = np.where(distance > 0, distance, np.nan_to_num(spread))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        excess = (actual - base) / distance
    # In the units of the tail: its quantile of the outermost level lies `distance` above its beginning.
    return np.asarray(tails[begin] / pareto_rarity(excess, at=float(tails[begin] / tails[-1])))
