"""Extrapolation beyond what was seen: quantiles of a heavy tail."""

from __future__ import annotations

import numpy as np

from models.arrays import FloatArray

# The tail index of Student's t with 4 degrees of freedom.
HEAVY = 0.25


def pareto_excess(rarer: FloatArray | float) -> FloatArray:
    """Quantiles of a generalised Pareto tail of index `HEAVY` and mean 1 (Pickands 1975, doi 10.1214/aos/1176343003).

    Args:
        rarer: How many times as rare as the beginning of the tail; 1 or more.

    >>> float(pareto_excess(1.0)), float(pareto_excess(16.0))
    (0.0, 3.0)
    """
    return np.asarray((1 - HEAVY) / HEAVY * (np.asarray(rarer) ** HEAVY - 1))


def pareto_rarity(excess: FloatArray, at: float) -> FloatArray:
    """How many times as rare as the beginning of the tail values are: `pareto_excess` turned around, in other units.

    Args:
        excess: How far above the beginning, in distances between it and the value that is `at` times as rare; infinite
            for what is beyond any tail.
        at: Above 1.

    >>> pareto_rarity(np.array([0.0, 1.0, 3.0]), at=16.0).tolist()
    [1.0, 16.0, 256.0]
    """
    return np.asarray((1 + np.asarray(excess) * (at**HEAVY - 1)) ** (1 / HEAVY))
