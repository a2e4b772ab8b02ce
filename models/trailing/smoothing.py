"""Exponentially weighted means at every step of every series."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from models.arrays import FloatArray, IntArray

# How many of the last steps a mean is taken over: a power of two. At a weight of 0.1 the rest would count 0.1 %.
SPAN = 64
# How many cycles a profile is averaged over: a power of two.
PROFILE_SPAN = 16


def exponentially_weighted(
    values: FloatArray, place: IntArray, weights: Sequence[float], *, cycle: int = 1, span: int = SPAN
) -> FloatArray:
    """Means of the last steps, or of the same step of the last cycles; each counts less than the next by one factor.

    Args:
        values: Shape (total,), series end to end; NaN counts for nothing.
        place: Shape (total,), the distance of each position from the beginning of its series.
        weights: The weight of the newest value, in (0, 1): the one before it counts one minus the weight as much.
        cycle: How many steps lie between two of the values.
        span: How many values a mean is taken over: a power of two.

    Returns:
        Shape (total, weight); NaN where none of the steps has a value. It depends on those steps alone, to the last
        digit: a forecast is the same whether much or little of the history was read.

    >>> exponentially_weighted(np.array([0.0, 1.0]), np.array([0, 1]), [0.75])
    array([[0. ],
           [0.8]])
    """
    seen = ~np.isnan(values)
    start = np.where(seen, values, 0.0), seen.astype(np.float64)
    means = []
    for weight in weights:
        total, counted = start
        done = 1
        # The sum over twice as many steps is this sum, and that of as many steps before.
        while done < span:
            total, counted = (_joined(each, (1 - weight) ** done, cycle * done, place) for each in (total, counted))
            done *= 2
        means.append(np.divide(total, counted, out=np.full(len(total), np.nan), where=counted > 0))
    return np.stack(means, axis=1)


def _joined(sums: FloatArray, factor: float, distance: int, place: IntArray) -> FloatArray:
    joined = sums.copy()
    joined[distance:] += np.where(place[distance:] >= distance, factor * sums[:-distance], 0.0)
    return joined
