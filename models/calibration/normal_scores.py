"""Quantile functions over normal scores: where an actual lies in its forecast, and what a forecast says elsewhere.

A forecast gives a few quantiles. Its quantile function is taken as linear in normal scores, the quantiles of the
standard normal distribution, between them; beyond the outermost quantiles it continues with the slope from the median
to there. The score of an actual is the one at which the function takes its value. Over many correct forecasts, scores
are distributed as the standard normal.
"""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr, ndtri

from models.arrays import FloatArray, IntArray
from models.panel.shards import shards

AT_ONCE = 256
WIDEST = 8.0
"""Scores are clipped here; of correct forecasts, fewer than one in 10^15 has a score beyond."""


def quantiles_at(quantiles: FloatArray, known: FloatArray, wanted: FloatArray) -> FloatArray:
    """The quantile functions of forecasts at other scores than those of their quantiles.

    Args:
        quantiles: Shape (row, ..., level), ascending; finite.
        known: Shape (level,), the scores of the quantiles, strictly ascending; the median's is nearest to 0.
        wanted: Shape (row, ..., wanted), scores; finite.

    Returns:
        Shape (row, ..., wanted); ascending where `wanted` is. A forecast whose quantiles are all equal stays as it is.
    """
    found, middle = np.empty(wanted.shape), int(np.abs(known).argmin())
    # Some rows at a time, so that the sums stay in the cache.
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

    A quantile function may be flat over a range of scores, for example zero up to the median, or be cut off by a bound.
    An actual there has every score of the range; `chance` draws one of them with the probability that the forecast
    gives it. So the scores of correct forecasts are standard normal whatever they forecast.

    Args:
        actual: Shape (point,); finite.
        quantiles: Shape (point, level), ascending.
        known: Shape (point, level), the scores of the quantiles.
        bends: Shape (point, bend), ascending, the scores at which the quantile function may bend: a flat range ends
            there, not necessarily where a quantile is known.
        bounds: No forecast is below the first or above the second.
        chance: Shape (point,), each in (0, 1).

    Returns:
        Shape (point,), from -`WIDEST` to `WIDEST`; NaN where all quantiles of a forecast are equal.

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
        low[same], high[same] = _flat_range(known[same], bends[same], under[same], up_to[same])
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
    """Slopes of quantile functions below the lowest quantile and above the highest one, shape (...) each.

    The slope is the one from the median, at `middle`, to there. Where that is 0, or the side has no quantile, it is the
    slope from the lowest to the highest quantile.
    """
    whole = _over(quantiles[..., -1] - quantiles[..., 0], known[..., -1] - known[..., 0])
    below = _over(quantiles[..., middle] - quantiles[..., 0], known[..., middle] - known[..., 0])
    beyond = _over(quantiles[..., -1] - quantiles[..., middle], known[..., -1] - known[..., middle])
    return np.where(below > 0, below, whole), np.where(beyond > 0, beyond, whole)


def _flat_range(known: FloatArray, bends: FloatArray, first: IntArray, end: IntArray) -> tuple[FloatArray, FloatArray]:
    """The lowest and highest score of a flat range whose quantiles are those from `first` to before `end`."""
    row = np.arange(len(known))
    padded = np.pad(known, ((0, 0), (1, 1)), constant_values=((0, 0), (-np.inf, np.inf)))
    outside = padded[row, first][:, None], padded[row, end + 1][:, None]
    within = np.where((bends > outside[0]) & (bends < outside[1]), bends, np.nan)
    with np.errstate(invalid="ignore"):
        low = np.fmin.reduce(within, axis=1, initial=np.inf)
        high = np.fmax.reduce(within, axis=1, initial=-np.inf)
    return np.minimum(known[row, first], low), np.maximum(known[row, end - 1], high)


def even_chance(series: IntArray, step: IntArray, night: int) -> FloatArray:
    """Numbers in (0, 1) that are spread evenly over series, steps and nights, the same for the same arguments.

    Args:
        series: Shape (point,).
        step: Shape (point,).
        night: A number for the night.

    Returns:
        Shape (point,).

    Source: Kronecker's sequence, with the golden ratio and two more irrational numbers.
    """
    turned = series * 0.6180339887498949 + step * 0.7320508075688772 + (night % 1_000_003) * 0.4142135623730951
    return np.clip(turned % 1.0, 1e-9, 1 - 1e-9)


def _over(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    """A quotient; 0 where the denominator is not above 0."""
    numerator, denominator = np.broadcast_arrays(numerator, denominator)
    return np.divide(numerator, denominator, out=np.zeros(numerator.shape), where=denominator > 0)
