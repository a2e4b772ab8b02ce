"""How sure a difference between two forecasters is, judged on the same series from the same cutoffs.

Losses of one cutoff share what happened after it, and losses of one series share the series: both are groups of
errors that go together, and a standard error that took each for independent would be far too small.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import stdtrit

from models.arrays import FloatArray, IntArray

CONFIDENCE = 0.95


class Difference(NamedTuple):
    """A mean difference of losses, first less second: below 0 the first one is better.

    Attributes:
        mean: In the units of the losses; NaN where nothing was judged.
        low: Lower end of the 95 % confidence interval; NaN where a single cutoff and series cannot tell.
        high: Upper end.
        second: Mean loss of the second, which makes a share of the others.
        better: Share of the series for which the first one's mean loss is the lower.
        cutoffs: From how many cutoffs.
        series: Of how many series.
    """

    mean: float
    low: float
    high: float
    second: float
    better: float
    cutoffs: int
    series: int


def paired_difference(first: FloatArray, second: FloatArray, cutoff: IntArray, series: IntArray) -> Difference:
    """The mean of paired differences with an interval that is clustered two ways, by cutoff and by series.

    Args:
        first: Shape (pair,), mean loss over the horizon of one series from one cutoff; NaN where it was not judged.
        second: Shape (pair,), the other forecaster's.
        cutoff: Shape (pair,), which cutoff.
        series: Shape (pair,), which series.

    Returns:
        The difference. The variance is that of the clusters by cutoff, plus that by series, less that of single pairs;
        at least the larger of the first two. Quantiles are those of Student's t with one degree of freedom less than
        there are clusters of the rarer kind. Where there is one cutoff only, series alone are clusters, and the
        interval says nothing of other weeks.

    Source: Cameron, Gelbach & Miller (2011), doi 10.1198/jbes.2010.07136; few clusters as in Cameron & Miller (2015),
        doi 10.3368/jhr.50.2.317.
    """
    judged = ~np.isnan(first) & ~np.isnan(second)
    first, second, cutoff, series = first[judged], second[judged], cutoff[judged], series[judged]
    if not len(first):
        return Difference(float("nan"), float("nan"), float("nan"), float("nan"), float("nan"), 0, 0)
    apart = first - second
    mean = float(apart.mean())
    _, by_cutoff = np.unique(cutoff, return_inverse=True)
    _, by_series = np.unique(series, return_inverse=True)
    cutoffs, count = int(by_cutoff.max()) + 1, int(by_series.max()) + 1
    rest = apart - mean
    variances = [_variance(rest, groups) for groups in (by_cutoff, by_series) if groups.max() > 0]
    half = float("nan")
    if variances:
        together = sum(variances) - _variance(rest, np.arange(len(rest))) if len(variances) > 1 else variances[0]
        degrees = min(n for n in (cutoffs, count) if n > 1) - 1
        half = float(stdtrit(degrees, (1 + CONFIDENCE) / 2) * np.sqrt(max(together, *variances)))
    better = float((np.bincount(by_series, apart) < 0).mean())
    return Difference(mean, mean - half, mean + half, float(second.mean()), better, cutoffs, count)


def _variance(rest: FloatArray, groups: IntArray) -> float:
    """Of the mean, where only what lies in different groups is independent."""
    sums = np.bincount(groups, rest)
    return float(np.sum(sums**2) / len(rest) ** 2 * len(sums) / (len(sums) - 1)) if len(sums) > 1 else 0.0
