"""The difference between two forecasters on the same series and cutoffs, with a confidence interval.

Losses of one cutoff are correlated, and so are losses of one series: a standard error that treated each loss as
independent would be far too small.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import stdtrit

from models.arrays import FloatArray, IntArray

CONFIDENCE = 0.95


class Difference(NamedTuple):
    """A mean difference of losses, first less second: below 0 the first forecaster is better.

    Attributes:
        mean: In the units of the losses; NaN where there is no pair.
        low: Lower end of the 95 % confidence interval; NaN with a single cutoff and series.
        high: Upper end.
        second: Mean loss of the second forecaster, by which the others can be divided.
        better: Share of the series for which the first forecaster's mean loss is lower.
        cutoffs: Number of cutoffs.
        series: Number of series.
    """

    mean: float
    low: float
    high: float
    second: float
    better: float
    cutoffs: int
    series: int


def paired_difference(first: FloatArray, second: FloatArray, cutoff: IntArray, series: IntArray) -> Difference:
    """The mean of paired differences, with an interval that is clustered two ways: by cutoff and by series.

    The variance is that of the clusters by cutoff, plus that of the clusters by series, less that of single pairs; at
    least the larger of the first two. Quantiles are those of Student's t, with one degree of freedom less than there
    are clusters of the rarer kind. With one cutoff only, the clusters are the series, and the interval says nothing
    about other weeks.

    Args:
        first: Shape (pair,), mean loss over the horizon of one series from one cutoff; NaN where unknown.
        second: Shape (pair,), the other forecaster's.
        cutoff: Shape (pair,), which cutoff.
        series: Shape (pair,), which series.

    Source: Cameron, Gelbach & Miller (2011), doi 10.1198/jbes.2010.07136; few clusters as in Cameron & Miller (2015),
        doi 10.3368/jhr.50.2.317.
    """
    known = ~np.isnan(first) & ~np.isnan(second)
    first, second, cutoff, series = first[known], second[known], cutoff[known], series[known]
    if not len(first):
        return Difference(float("nan"), float("nan"), float("nan"), float("nan"), float("nan"), 0, 0)
    difference = first - second
    mean = float(difference.mean())
    _, by_cutoff = np.unique(cutoff, return_inverse=True)
    _, by_series = np.unique(series, return_inverse=True)
    cutoffs, count = int(by_cutoff.max()) + 1, int(by_series.max()) + 1
    rest = difference - mean
    variances = [_variance(rest, groups) for groups in (by_cutoff, by_series) if groups.max() > 0]
    half_width = float("nan")
    if variances:
        two_way = sum(variances) - _variance(rest, np.arange(len(rest))) if len(variances) > 1 else variances[0]
        degrees = min(n for n in (cutoffs, count) if n > 1) - 1
        half_width = float(stdtrit(degrees, (1 + CONFIDENCE) / 2) * np.sqrt(max(two_way, *variances)))
    better = float((np.bincount(by_series, difference) < 0).mean())
    return Difference(mean, mean - half_width, mean + half_width, float(second.mean()), better, cutoffs, count)


def _variance(rest: FloatArray, groups: IntArray) -> float:
    """Variance of the mean of `rest`, where only elements of different groups are independent."""
    sums = np.bincount(groups, rest)
    return float(np.sum(sums**2) / len(rest) ** 2 * len(sums) / (len(sums) - 1)) if len(sums) > 1 else 0.0
