"""How nights follow one another: years made up of a job's own nights that stray as far as its own may.

A night looks like the one before it, and a job has good and bad months. Both make the mean of many nights much less
sure than that of as many independent ones, and two hundred nights tell neither well. So not one dependence is
estimated: each made-up year follows one of a grid, drawn by how well it explains the nights, by Whittle's likelihood
(1953, doi 10.1007/BF02590998).
"""

from __future__ import annotations

from functools import lru_cache
from statistics import NormalDist

import numpy as np

from models.arrays import Float32Array, FloatArray, Int16Array, IntArray
from models.monitoring.pareto_tail import pareto_excess

# A part that is soon forgotten and one that lasts, each from night to night, and the share of the second.
SHORT, LASTING = (0.0, 0.2, 0.4, 0.6), (0.7, 0.8, 0.9, 0.95, 0.98)
SHARES = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 1.0)
# The share of nights that tell of each tail.
TAIL = 0.1
FINE = 4096
DAYS, OF_ANY_DAY = 7, 8
# Nights are no such process, only like one: they tell less of it than their likelihood says (a power of it is taken).
TRUST = 0.3
GRID = np.array([(short, lasting, share) for short in SHORT for lasting in LASTING for share in SHARES])


def made_up(nights: FloatArray, weekday: IntArray, count: int, length: int, seed: int) -> FloatArray:
    """Series of nights that vary and follow one another as those given do.

    Args:
        nights: Shape (night,), oldest first, around zero, none NaN.
        weekday: Shape (night,), 0 for Monday; some days are wilder than others, and they follow one another.
        count: Number of series.
        length: Nights of each.
        seed: Of the draw.

    Returns:
        Shape (count, length), the first night a Monday.
    """
    chance = likelihoods(_normal_scores(nights)) ** TRUST
    chance /= chance.sum()
    short, lasting, share = GRID[np.random.default_rng(seed).choice(len(GRID), count, p=chance)].T
    # What each night brings that is new: a bad one drags its neighbours along, and must do so here.
    news = nights[1:] - chance @ ((1 - GRID[:, 2]) * GRID[:, 0] + GRID[:, 2] * GRID[:, 1]) * nights[:-1]
    width = _widths(news, weekday[1:])
    shocks = _with_tails(news / width[weekday[1:]])[_draw(length, count, seed)]
    shocks *= width[np.arange(length) % DAYS, None, None].astype(np.float32)
    return np.asarray(_follow(short, lasting, share, shocks) * float(nights.std() / (news.std() or 1.0)))


def likelihoods(scores: FloatArray) -> FloatArray:
    """How well each dependence of `GRID` explains nights, the best one's being 1; shape (dependence,).

    Args:
        scores: Shape (night,), standard normal but for their order.
    """
    power = np.abs(np.fft.rfft(scores))[1 : (len(scores) - 1) // 2 + 1] ** 2
    if not power.any():
        return np.ones(len(GRID))
    expected = _spectra(len(scores))
    # The variance of the process, which nights around their own mean do not tell, is left open.
    logs = -np.log(expected).sum(axis=1) - len(power) * np.log((power / expected).sum(axis=1))
    return np.asarray(np.exp(logs - logs.max()))


@lru_cache(maxsize=8)
def _spectra(nights: int) -> FloatArray:
    """Power that each dependence has at each frequency, shape (dependence, frequency)."""
    frequency = 2 * np.pi * np.arange(1, (nights - 1) // 2 + 1) / nights
    short, lasting, share = GRID.T[..., None]
    return np.asarray((1 - share) * _spectrum(short, frequency) + share * _spectrum(lasting, frequency))


def _spectrum(follows: FloatArray, frequency: FloatArray) -> FloatArray:
    return np.asarray((1 - follows**2) / (1 - 2 * follows * np.cos(frequency) + follows**2))


def _widths(news: FloatArray, weekday: IntArray) -> FloatArray:
    """How wide the news of each day of the week are, shape (7,), the more as of any day the fewer nights it has."""
    size = np.abs(news)
    sums, counts = np.bincount(weekday, size, DAYS), np.bincount(weekday, minlength=DAYS)
    widths = (sums + OF_ANY_DAY * size.mean()) / (counts + OF_ANY_DAY)
    return np.asarray(widths * news.std() / np.sqrt((widths**2).mean())) if size.any() else np.ones(DAYS)


def _with_tails(news: FloatArray) -> Float32Array:
    """`FINE` values, as likely as each other, of the distribution that the news come from.

    A year has worse nights than a few past months had. So beyond the tenth on each side nights are not drawn anew, but
    from a heavy tail (`models/monitoring/pareto_tail.py`) with the mean of that tenth.
    """
    chance = (np.arange(FINE) + 0.5) / FINE
    values = np.quantile(news, chance)
    for sign, beyond in ((-1, chance < TAIL), (1, chance > 1 - TAIL)):
        start = sign * np.quantile(sign * news, 1 - TAIL)
        mean = np.maximum(sign * (news - start), 0.0).mean() / TAIL
        rarer = TAIL / np.minimum(chance, 1 - chance)[beyond]
        values[beyond] = start + sign * mean * pareto_excess(rarer)
    return np.asarray(values - values.mean(), np.float32)


@lru_cache(maxsize=2)
def _draw(length: int, count: int, seed: int) -> Int16Array:
    return np.random.default_rng(seed).integers(0, FINE, (length, 2, count), np.int16)


def _follow(short: FloatArray, lasting: FloatArray, share: FloatArray, shocks: Float32Array) -> Float32Array:
    """Series of unit variance, shape (series, night), from independent shocks of shape (night, 2, series)."""
    follows = np.stack([short, lasting]).astype(np.float32)
    parts = shocks * np.sqrt(1 - follows**2)
    parts[0] = shocks[0]
    for night in range(1, len(parts)):
        parts[night] += follows * parts[night - 1]
    return np.asarray((parts * np.sqrt(np.stack([1 - share, share])).astype(np.float32)).sum(axis=1).T)


def _normal_scores(nights: FloatArray) -> FloatArray:
    """Where nights would lie if they were standard normal: what is far out must not tell how they follow each other."""
    place = np.array([NormalDist().inv_cdf((rank + 0.5) / len(nights)) for rank in range(len(nights))])
    values, group, size = np.unique(nights, return_inverse=True, return_counts=True)
    # Equal nights share a place: an order among them would be made up, too.
    return np.asarray((np.bincount(np.repeat(np.arange(len(values)), size), place) / size)[group])
