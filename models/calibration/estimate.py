"""From evidence of how forecasts have covered to tonight's calibration."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr, ndtri

from models.arrays import FloatArray, IntArray, StringArray
from models.calibration.calibration import Bounds, Calibration
from models.calibration.evidence import EDGES, Evidence, group_of
from models.calibration.normal_scores import WIDEST

# Evaluations: so many of all steps together count for each step, beside its own.
SHARED = 5.0
# One that says that forecasts are right keeps quantiles beyond all scores so far finite.
PRIOR = 1.0
# With so many evaluations it is no longer held back; with half as many, three quarters of it are: the first few
# evaluations may all have been lucky alike, and do not tell whether they were.
ENOUGH = 20.0
# Evaluations that follow each other, and steps of one night, miss together: so many count as one.
ALIKE = 3.0
# So many evaluations weigh as much as what is usual of all series, where a pool of series is looked at.
POOL = 20.0
FURTHEST = 3.0


def calibration_of(
    evidence: Evidence,
    series_ids: StringArray,
    pool: IntArray,
    bounds: Bounds = (None, None),
) -> Calibration:
    """Tonight's calibration; little evidence leaves forecasts as they are.

    Args:
        evidence: Of tonight's levels and horizon.
        series_ids: Shape (series,), tonight's, sorted.
        pool: Shape (series,), series that are alike have the same number; where one has little of its own, it borrows
            from these.
        bounds: What no forecast is below, and above.
    """
    levels, horizon = evidence.quantile_levels, evidence.horizon
    stretch = _stretch(evidence.of_series(series_ids), pool) ** _trust(evidence.evaluations).max()
    positions = _positions(evidence)[group_of(np.arange(horizon), horizon)]
    return Calibration(levels, positions, series_ids, stretch, bounds, _in_words(evidence, positions))


def _positions(evidence: Evidence) -> FloatArray:
    """Scores up to which the share of each level lay, shape (group of steps, level)."""
    levels, evaluations = evidence.quantile_levels, evidence.evaluations
    nominal = ndtri(levels)
    pooled = evidence.counts.sum(axis=0)
    pooled = pooled / max(pooled.sum(), 1e-9)
    usual = np.diff(ndtr(EDGES))
    counts = evidence.counts + SHARED * (evaluations > 0)[:, None] * pooled + PRIOR * usual
    shares = np.cumsum(counts, axis=1)
    n = _independent(evidence, pooled)[:, None]
    # Between n scores the new one lies in each gap alike: the share q is at rank q (n + 1).
    least = 0.5 / (n + 1)
    rank = np.clip(levels + (levels - 0.5) / n, least, 1 - least)
    wanted = ndtr(ndtri(rank) + evidence.drift)
    found = np.array([np.interp(want, row / row[-1], EDGES[1:]) for want, row in zip(wanted, shares, strict=True)])
    found -= _luck(evidence, found[:, np.abs(nominal).argmin()])[:, None]
    trust = _trust(evaluations)[:, None]
    positions = np.maximum.accumulate(nominal + trust * (found - nominal), axis=1)
    return np.asarray(np.clip(positions, -WIDEST, WIDEST) + 1e-9 * np.arange(len(levels)))


def _trust(evaluations: FloatArray) -> FloatArray:
    """Share of what evaluations say that is believed, 0 to 1."""
    return np.asarray(np.minimum(evaluations / ENOUGH, 1) ** 2)


def _independent(evidence: Evidence, shares: FloatArray) -> FloatArray:
    """How many independent scores the evaluations are worth, shape (group of steps,).

    The points of an evaluation miss together, and are worth as many as would scatter its mean as much. That is known by
    few evaluations, so one is added whose points are all worth one.
    """
    middle = (EDGES[1:] + EDGES[:-1]) / 2
    within = max(float(shares @ middle**2), 1e-2)
    n = evidence.evaluations
    first, second = evidence.centre / np.maximum(n, PRIOR)
    between = (n * np.maximum(second - first**2, 0) + within) / (n + 1)
    return np.asarray(np.maximum(n * within / (between * ALIKE), n) + PRIOR)


def _luck(evidence: Evidence, middle: FloatArray) -> FloatArray:
    """The part of the median's move that the luck of few evaluations explains, shape (group of steps,).

    It is left out: the median would be moved for nothing, and its error grow.
    """
    n = np.maximum(evidence.evaluations, PRIOR)
    first, second = evidence.centre / n
    noise = ALIKE * np.maximum(second - first**2, 0) / (2 * n)
    return np.asarray(middle * np.divide(noise, middle**2 + noise, out=np.zeros(len(n)), where=noise > 0))


def _stretch(sums: FloatArray, pool: IntArray) -> FloatArray:
    """By what scores of each series are multiplied, shape (series,), from its evaluations and mean squares added up.

    The median of a series is not moved: a miss to one side that has lasted for months ends as often as it goes on.
    """
    n, spread = sums[0], _spread(sums)
    pools = int(pool.max(initial=0)) + 1
    of_pool = np.array([np.bincount(pool, row, minlength=pools) for row in sums])
    usual = of_pool[0] / np.maximum(np.bincount(pool, n > 0, minlength=pools), 1)
    its_spread = _spread(of_pool)
    found = (usual / (usual + POOL) * (its_spread - _spread(sums.sum(axis=1, keepdims=True))))[pool]
    found = found + _shrunk(spread - its_spread[pool], ALIKE / (2 * np.maximum(n, 1e-9)), n)
    limit = np.log(FURTHEST)
    return np.asarray(np.exp(np.clip(found, -limit, limit)))


def _spread(sums: FloatArray) -> FloatArray:
    """Logarithm of the root mean square of scores; 0 where there are none."""
    return np.where(sums[0] > 0, 0.5 * np.log(np.maximum(sums[1] / np.maximum(sums[0], 1e-9), 1e-2)), 0.0)


def _shrunk(found: FloatArray, noise: FloatArray, n: FloatArray) -> FloatArray:
    """Differences between series, less what chance makes of them: empirical Bayes, 0 where nothing is known.

    Source: Efron & Morris (1973), doi 10.1080/01621459.1973.10481350.
    """
    some = n >= 1
    if some.sum() < 2:
        return np.zeros(len(found))
    weight = n[some] / n[some].sum()
    between = float((weight * (found[some] ** 2 - noise[some])).sum())
    if between <= 0:
        return np.zeros(len(found))
    return np.where(some, found * between / (between + noise), 0.0)


def _in_words(evidence: Evidence, positions: FloatArray) -> str:
    levels = evidence.quantile_levels
    if len(levels) < 2 or not evidence.evaluations.any():
        return ""
    low, high = ndtri(levels[0]), ndtri(levels[-1])
    shares = np.cumsum(evidence.counts.sum(axis=0))
    below, up_to = np.interp([low, high], EDGES[1:], shares / shares[-1])
    change = float(np.mean((positions[:, -1] - positions[:, 0]) / (high - low))) - 1
    what = f"widened by {change:.0%}" if change > 0 else f"narrowed by {-change:.0%}"
    held = f"{up_to - below:.0%}".replace("%", " %")
    return (
        f"the {levels[-1] - levels[0]:.0%} interval is {what}".replace("%", " %")
        + f": without that it would have held {held} of the actuals of {evidence.evaluations.max():.0f} evaluations"
    )
