"""Null simulation: fault-free years that a job's own nights could have had, drawn from a reference sample.

A night resembles the night before it, and a job has good and bad months. Both make the mean of many nights far less
certain than the mean of as many independent nights, and two hundred nights are too few to estimate either effect well.
So no single autocorrelation is estimated: each simulated year has one of a grid of autocorrelations, drawn by how well
it explains the nights, by Whittle's likelihood (1953, doi 10.1007/BF02590998).
"""

from __future__ import annotations

from functools import lru_cache
from statistics import NormalDist

import numpy as np

from models.arrays import Float32Array, FloatArray, Int16Array, IntArray
from models.monitoring.pareto_tail import pareto_excess

# Nights are the sum of a short-lived and a lasting autoregressive part: their coefficients from night to night, and the
# share of the lasting part in the variance.
SHORT, LASTING = (0.0, 0.2, 0.4, 0.6), (0.7, 0.8, 0.9, 0.95, 0.98)
SHARES = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 1.0)
# Share of the nights on each side from which a tail is estimated.
TAIL = 0.1
# Number of equally likely values that shocks are drawn from.
FINE = 4096
DAYS = 7
# Number of nights of any day that the spread of each day of the week starts with.
PRIOR_NIGHTS = 8
# Real nights only resemble such a process, so their likelihood says too much; this power of it is used.
TRUST = 0.3
# Shape (autocorrelation, 3).
GRID = np.array([(short, lasting, share) for short in SHORT for lasting in LASTING for share in SHARES])


def simulate_nights(nights: FloatArray, weekday: IntArray, count: int, length: int, seed: int) -> FloatArray:
    """Simulate series of nights with the spread, tails and autocorrelation of the given ones.

    Args:
        nights: Shape (night,), oldest first, around zero, none NaN.
        weekday: Shape (night,), 0 for Monday; the days of the week differ in spread.
        count: Number of series.
        length: Number of nights in each series.
        seed: Seed of the draw.

    Returns:
        Shape (count, length), the first night a Monday.
    """
    probability = likelihoods(_normal_scores(nights)) ** TRUST
    probability /= probability.sum()
    short, lasting, share = GRID[np.random.default_rng(seed).choice(len(GRID), count, p=probability)].T
    # Shocks, not nights, are drawn: a bad night must spoil its neighbours in the simulation as in reality.
    follows = (1 - GRID[:, 2]) * GRID[:, 0] + GRID[:, 2] * GRID[:, 1]
    innovations = nights[1:] - probability @ follows * nights[:-1]
    spread = _spread_of_days(innovations, weekday[1:])
    shocks = _shock_values(innovations / spread[weekday[1:]])[_draw(length, count, seed)]
    shocks *= spread[np.arange(length) % DAYS, None, None].astype(np.float32)
    scale = float(nights.std() / (innovations.std() or 1.0))
    return np.asarray(_autoregressive(short, lasting, share, shocks) * scale)


def likelihoods(scores: FloatArray) -> FloatArray:
    """Whittle's likelihood of each autocorrelation of `GRID`, relative to the best; shape (autocorrelation,).

    Args:
        scores: Shape (night,), normal scores of the nights.
    """
    power = np.abs(np.fft.rfft(scores))[1 : (len(scores) - 1) // 2 + 1] ** 2
    if not power.any():
        return np.ones(len(GRID))
    expected = _spectra(len(scores))
    # The variance of the process is free, since nights around their own mean do not tell it.
    logs = -np.log(expected).sum(axis=1) - len(power) * np.log((power / expected).sum(axis=1))
    return np.asarray(np.exp(logs - logs.max()))


@lru_cache(maxsize=8)
def _spectra(nights: int) -> FloatArray:
    """Power of each autocorrelation at each frequency, shape (autocorrelation, frequency)."""
    frequency = 2 * np.pi * np.arange(1, (nights - 1) // 2 + 1) / nights
    short, lasting, share = GRID.T[..., None]
    return np.asarray((1 - share) * _spectrum(short, frequency) + share * _spectrum(lasting, frequency))


def _spectrum(follows: FloatArray, frequency: FloatArray) -> FloatArray:
    return np.asarray((1 - follows**2) / (1 - 2 * follows * np.cos(frequency) + follows**2))


def _spread_of_days(innovations: FloatArray, weekday: IntArray) -> FloatArray:
    """Spread of the innovations of each day of the week, shape (7,); days with few nights lean on all days."""
    size = np.abs(innovations)
    sums, counts = np.bincount(weekday, size, DAYS), np.bincount(weekday, minlength=DAYS)
    spread = (sums + PRIOR_NIGHTS * size.mean()) / (counts + PRIOR_NIGHTS)
    return np.asarray(spread * innovations.std() / np.sqrt((spread**2).mean())) if size.any() else np.ones(DAYS)


def _shock_values(innovations: FloatArray) -> Float32Array:
    """`FINE` equally likely values of the distribution that the innovations come from.

    A year has worse nights than a few past months had. So the outer tenth on each side is not resampled, but drawn from
    a heavy tail (`models/monitoring/pareto_tail.py`) with the mean of that tenth.
    """
    probability = (np.arange(FINE) + 0.5) / FINE
    values = np.quantile(innovations, probability)
    for sign, beyond in ((-1, probability < TAIL), (1, probability > 1 - TAIL)):
        start = sign * np.quantile(sign * innovations, 1 - TAIL)
        mean = np.maximum(sign * (innovations - start), 0.0).mean() / TAIL
        rarer = TAIL / np.minimum(probability, 1 - probability)[beyond]
        values[beyond] = start + sign * mean * pareto_excess(rarer)
    return np.asarray(values - values.mean(), np.float32)


@lru_cache(maxsize=2)
def _draw(length: int, count: int, seed: int) -> Int16Array:
    return np.random.default_rng(seed).integers(0, FINE, (length, 2, count), np.int16)


def _autoregressive(short: FloatArray, lasting: FloatArray, share: FloatArray, shocks: Float32Array) -> Float32Array:
    """Series of unit variance, shape (series, night), from independent shocks of shape (night, 2, series)."""
    follows = np.stack([short, lasting]).astype(np.float32)
    parts = shocks * np.sqrt(1 - follows**2)
    parts[0] = shocks[0]
    for night in range(1, len(parts)):
        parts[night] += follows * parts[night - 1]
    return np.asarray((parts * np.sqrt(np.stack([1 - share, share])).astype(np.float32)).sum(axis=1).T)


def _normal_scores(nights: FloatArray) -> FloatArray:
    """Normal scores of nights, so that outliers do not decide the autocorrelation; shape (night,)."""
    place = _expected_scores(len(nights))
    values, group, size = np.unique(nights, return_inverse=True, return_counts=True)
    # Equal nights share a score: they have no order.
    return np.asarray((np.bincount(np.repeat(np.arange(len(values)), size), place) / size)[group])


# The signals of a night mostly have as many nights.
@lru_cache(maxsize=8)
def _expected_scores(nights: int) -> FloatArray:
    return np.array([NormalDist().inv_cdf((rank + 0.5) / nights) for rank in range(nights)])
