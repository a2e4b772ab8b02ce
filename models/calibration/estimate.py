"""Estimates a calibration from the evidence of past coverage."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr, ndtri

from models.arrays import FloatArray, IntArray, StringArray
from models.calibration.calibration import Bounds, Calibration
from models.calibration.evaluation_counts import EDGES, group_of
from models.calibration.evidence import Evidence
from models.calibration.normal_scores import WIDEST

# Number of evaluations of its own that the counts of all steps together are worth to each step.
SHARED = 5.0
# Each step starts from one evaluation of correct forecasts, so that quantiles beyond all past scores stay finite.
PRIOR = 1.0
# Number of evaluations from which on the evidence is used in full; with half of them, a quarter of it is used. The
# first few evaluations may all have been lucky in the same way, which they cannot show.
ENOUGH = 20.0
# Consecutive evaluations, and the steps of one night, miss together: this number of them is worth one.
ALIKE = 3.0
# Number of evaluations that the mean of all series is worth to a pool of series.
POOL = 20.0
# The stretch of a series lies between 1 / FURTHEST and FURTHEST.
FURTHEST = 3.0


def calibration_of(
    evidence: Evidence,
    series_ids: StringArray,
    pool: IntArray,
    bounds: Bounds = (None, None),
) -> Calibration:
    """The calibration that the evidence supports; little evidence leaves forecasts as they are.

    Args:
        evidence: Evidence for tonight's quantile levels and horizon.
        series_ids: Shape (series,), tonight's, sorted.
        pool: Shape (series,), a number for each series, the same for similar ones; a series with little evidence of its
            own borrows from those of its pool.
        bounds: No forecast is below the first or above the second.
    """
    horizon = evidence.horizon
    stretch = _stretch(evidence.series_sums(series_ids), pool) ** _trust(evidence.evaluations).max()
    positions = _positions(evidence)[group_of(np.arange(horizon), horizon)]
    description = _describe(evidence, positions)
    return Calibration(evidence.quantile_levels, positions, series_ids, stretch, bounds, description)


def _positions(evidence: Evidence) -> FloatArray:
    """The scores below which the share of actuals equals each quantile level, shape (group of steps, level)."""
    levels, evaluations = evidence.quantile_levels, evidence.evaluations
    nominal = ndtri(levels)
    pooled = evidence.counts.sum(axis=0)
    pooled = pooled / max(pooled.sum(), 1e-9)
    prior = np.diff(ndtr(EDGES))
    counts = evidence.counts + SHARED * (evaluations > 0)[:, None] * pooled + PRIOR * prior
    shares = np.cumsum(counts, axis=1)
    n = _independent(evidence, pooled)[:, None]
    # A new score is equally likely to lie in each gap between n old ones, so the quantile at q has rank q (n + 1).
    least = 0.5 / (n + 1)
    rank = np.clip(levels + (levels - 0.5) / n, least, 1 - least)
    wanted = ndtr(ndtri(rank) + evidence.drift)
    found = np.array([np.interp(want, row / row[-1], EDGES[1:]) for want, row in zip(wanted, shares, strict=True)])
    found -= _luck(evidence, found[:, np.abs(nominal).argmin()])[:, None]
    trust = _trust(evaluations)[:, None]
    positions = np.maximum.accumulate(nominal + trust * (found - nominal), axis=1)
    return np.asarray(np.clip(positions, -WIDEST, WIDEST) + 1e-9 * np.arange(len(levels)))


def _trust(evaluations: FloatArray) -> FloatArray:
    """The share of the evidence that is used, from 0 to 1."""
    return np.asarray(np.minimum(evaluations / ENOUGH, 1) ** 2)


def _independent(evidence: Evidence, shares: FloatArray) -> FloatArray:
    """Number of independent scores that the evaluations are worth, shape (group of steps,).

    The points of an evaluation miss together: they are worth as many independent points as would have a mean of the
    same variance. Few evaluations tell that variance badly, so one evaluation is added whose points are worth one.
    """
    middle = (EDGES[1:] + EDGES[:-1]) / 2
    within = max(float(shares @ middle**2), 1e-2)
    n = evidence.evaluations
    first, second = evidence.centre / np.maximum(n, PRIOR)
    between = (n * np.maximum(second - first**2, 0) + within) / (n + 1)
    return np.asarray(np.maximum(n * within / (between * ALIKE), n) + PRIOR)


def _luck(evidence: Evidence, middle: FloatArray) -> FloatArray:
    """The part of the median's shift that the luck of few evaluations explains, shape (group of steps,).

    It is subtracted: otherwise the median would move without need, and its error would grow.
    """
    n = np.maximum(evidence.evaluations, PRIOR)
    first, second = evidence.centre / n
    noise = ALIKE * np.maximum(second - first**2, 0) / (2 * n)
    return np.asarray(middle * np.divide(noise, middle**2 + noise, out=np.zeros(len(n)), where=noise > 0))


def _stretch(sums: FloatArray, pool: IntArray) -> FloatArray:
    """The stretch of each series, shape (series,).

    The median of a series is not moved: errors to one side that have lasted for months end as often as they go on.

    Args:
        sums: Shape (2, series), as of `Evidence.series`.
        pool: As of `calibration_of`.
    """
    n, spread = sums[0], _spread(sums)
    pools = int(pool.max(initial=0)) + 1
    pool_sums = np.array([np.bincount(pool, row, minlength=pools) for row in sums])
    mean_n = pool_sums[0] / np.maximum(np.bincount(pool, n > 0, minlength=pools), 1)
    pool_spread = _spread(pool_sums)
    log_stretch = (mean_n / (mean_n + POOL) * (pool_spread - _spread(sums.sum(axis=1, keepdims=True))))[pool]
    log_stretch = log_stretch + _shrunk(spread - pool_spread[pool], ALIKE / (2 * np.maximum(n, 1e-9)), n)
    limit = np.log(FURTHEST)
    return np.asarray(np.exp(np.clip(log_stretch, -limit, limit)))


def _spread(sums: FloatArray) -> FloatArray:
    """Logarithm of the root mean square of scores; 0 where there are none."""
    return np.where(sums[0] > 0, 0.5 * np.log(np.maximum(sums[1] / np.maximum(sums[0], 1e-9), 1e-2)), 0.0)


def _shrunk(differences: FloatArray, noise: FloatArray, n: FloatArray) -> FloatArray:
    """Differences between series without the part that chance explains, by empirical Bayes; 0 where nothing is known.

    Args:
        differences: Shape (series,).
        noise: Shape (series,), variance of each difference by chance.
        n: Shape (series,), number of evaluations.

    Source: Efron & Morris (1973), doi 10.1080/01621459.1973.10481350.
    """
    known = n >= 1
    if known.sum() < 2:
        return np.zeros(len(differences))
    weight = n[known] / n[known].sum()
    between = float((weight * (differences[known] ** 2 - noise[known])).sum())
    if between <= 0:
        return np.zeros(len(differences))
    return np.where(known, differences * between / (between + noise), 0.0)


def _describe(evidence: Evidence, positions: FloatArray) -> str:
    """The effect on the widest interval, in words; "" without evidence."""
    levels = evidence.quantile_levels
    if len(levels) < 2 or not evidence.evaluations.any():
        return ""
    low, high = ndtri(levels[0]), ndtri(levels[-1])
    shares = np.cumsum(evidence.counts.sum(axis=0))
    below, up_to = np.interp([low, high], EDGES[1:], shares / shares[-1])
    change = float(np.mean((positions[:, -1] - positions[:, 0]) / (high - low))) - 1
    action = "widened" if change > 0 else "narrowed"
    text = (
        f"the {levels[-1] - levels[0]:.0%} interval is {action} by {abs(change):.0%}; without calibration it would "
        f"have covered {up_to - below:.0%} of the actuals of {evidence.evaluations.max():.0f} evaluations"
    )
    return text.replace("%", " %")
