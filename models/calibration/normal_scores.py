"""Where an actual lies in its forecast, and what a forecast says elsewhere: quantile functions over normal scores.

A forecast gives a few quantiles. Between them its quantile function is taken as straight over normal scores, the
quantiles of the standard normal distribution, and beyond the outermost ones it goes on as steeply as from the median
to there. An actual then has a score of its own, the one at which the function takes its value; over many forecasts
that are right, scores are distributed as the standard normal.
"""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr, ndtri

from models.arrays import FloatArray, IntArray
from models.panel.shards import shards

AT_ONCE = 256
WIDEST = 8.0
"""Scores beyond it count as it: no more than one of 10^15 forecasts that are right lies there."""


def quantiles_at(quantiles: FloatArray, known: FloatArray, wanted: FloatArray) -> FloatArray:
    """What forecasts say at other scores than those that their quantiles lie at.

    Args:
        quantiles: Shape (row, ..., level), ascending; finite.
        known: Shape (level,), their scores, strictly ascending, with the median's nearest to 0.
        wanted: Shape (row, ..., wanted); finite.

    Returns:
        Shape (row, ..., wanted); ascending where `wanted` is. A forecast without width stays as it is.
    """
    found, middle = np.empty(wanted.shape), int(np.abs(known).argmin())
    # Some rows at a time: what is added up over and over then stays in the cache.
    for rows in shards(len(quantiles), AT_ONCE):
        below, beyond = _steepness(quantiles[rows], known, middle)
        slopes = np.diff(quantiles[rows], axis=-1) / np.diff(known)
        at = wanted[rows]
        made = quantiles[rows][..., :1] + below[..., None] * np.minimum(at - known[0], 0.0)
        for place in range(len(known) - 1):
            made += slopes[..., place, None] * np.clip(at - known[place], 0.0, known[place + 1] - known[place])
        found[rows] = made + beyond[..., None] * np.maximum(at - known[-1], 0.0)
    return found


def scores_of(
    actual: FloatArray,
    quantiles: FloatArray,
    known: FloatArray,
    bends: FloatArray,
    bounds: tuple[float | None, float | None],
    chance: FloatArray,
) -> FloatArray:
    """The score of each actual in its own forecast.

    Where the forecast says the same at several scores (zero sales, say, up to the median), or a bound cuts it off, an
    actual there has all of them; it is given one of them by `chance`, as likely as the forecast says. Forecasts that
    are right so have scores that are standard normal whatever they forecast.

    Args:
        actual: Shape (point,); finite.
        quantiles: Shape (point, level), ascending.
        known: Shape (point, level), the scores of the quantiles.
        bends: Shape (point, bend), ascending, the scores at which the quantile function may bend: a stretch where the
            forecast says the same ends there, and not where a quantile happens to be known.
        bounds: What no forecast is below, and above.
        chance: Shape (point,), each in (0, 1).

    Returns:
        Shape (point,), from -`WIDEST` to `WIDEST`; NaN where a forecast has no width.

    Source: Brockwell (2007), doi 10.1016/j.spl.2007.02.008, for the randomised transform of what is not continuous.
    """
    row, last = np.arange(len(actual)), quantiles.shape[-1] - 1
    under, up_to = ((op(quantiles, actual[:, None])).sum(axis=-1) for op in (np.less, np.less_equal))
    above, before = np.clip(under, 0, last), np.clip(under - 1, 0, last)
    rise = quantiles[row, above] - quantiles[row, before]
    share = _over(actual - quantiles[row, before], rise)
    at = known[row, before] + share * (known[row, above] - known[row, before])
    middle = int(np.abs(bends).sum(axis=0).argmin())
    below, beyond = _steepness(quantiles, known, middle)
    at = np.where(under == 0, known[:, 0] - _over(quantiles[:, 0] - actual, below), at)
    at = np.where(up_to == last + 1, known[:, -1] + _over(actual - quantiles[:, -1], beyond), at)
    low, high = at.copy(), at.copy()
    (same,) = np.nonzero(up_to > under)
    if len(same):
        low[same], high[same] = _stretch(known[same], bends[same], under[same], up_to[same])
    least, most = bounds
    if least is not None:
        low = np.where(actual <= least, -np.inf, low)
    if most is not None:
        high = np.where(actual >= most, np.inf, high)
    (several,) = np.nonzero(low < high)
    least_probable = ndtr(low[several])
    low[several] = ndtri(least_probable + chance[several] * (ndtr(high[several]) - least_probable))
    return np.where(quantiles[:, -1] > quantiles[:, 0], np.clip(low, -WIDEST, WIDEST), np.nan)


def _steepness(quantiles: FloatArray, known: FloatArray, middle: int) -> tuple[FloatArray, FloatArray]:
    """How steeply quantile functions go on below the lowest quantile and above the highest one, shape (...) each.

    As from the median, which is at `middle`, to there; a side without width, or without a quantile, goes on as the
    whole does.
    """
    whole = _over(quantiles[..., -1] - quantiles[..., 0], known[..., -1] - known[..., 0])
    below = _over(quantiles[..., middle] - quantiles[..., 0], known[..., middle] - known[..., 0])
    beyond = _over(quantiles[..., -1] - quantiles[..., middle], known[..., -1] - known[..., middle])
    return np.where(below > 0, below, whole), np.where(beyond > 0, beyond, whole)


def _stretch(known: FloatArray, bends: FloatArray, first: IntArray, end: IntArray) -> tuple[FloatArray, FloatArray]:
    """From where to where forecasts say the same, of which the quantiles from `first` to before `end` are known."""
    row = np.arange(len(known))
    padded = np.pad(known, ((0, 0), (1, 1)), constant_values=((0, 0), (-np.inf, np.inf)))
    outside = padded[row, first][:, None], padded[row, end + 1][:, None]
    within = np.where((bends > outside[0]) & (bends < outside[1]), bends, np.nan)
    with np.errstate(invalid="ignore"):
        low = np.fmin.reduce(within, axis=1, initial=np.inf)
        high = np.fmax.reduce(within, axis=1, initial=-np.inf)
    return np.minimum(known[row, first], low), np.maximum(known[row, end - 1], high)


def even_chance(series: IntArray, step: IntArray, night: int) -> FloatArray:
    """Numbers in (0, 1) that are the same whenever asked, and spread evenly over series, steps and nights.

    Args:
        series: Shape (point,).
        step: Shape (point,).
        night: Number of the night.

    Source: Kronecker's sequence, with the golden ratio and two more irrational numbers.
    """
    turned = series * 0.6180339887498949 + step * 0.7320508075688772 + (night % 1_000_003) * 0.4142135623730951
    return np.clip(turned % 1.0, 1e-9, 1 - 1e-9)


def _over(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    """A quotient; 0 where nothing is divided by."""
    numerator, denominator = np.broadcast_arrays(numerator, denominator)
    return np.divide(numerator, denominator, out=np.zeros(numerator.shape), where=denominator > 0)
