r"""Quantiles of sums of series, from the forecasts of the single series and from how these moved together in the past.

Quantiles do not add up. The quantile of a sum is the sum of quantiles only where all series err to the same side at
once; where they err independently it lies far nearer to the mean. The past says how far series move together (the
Schaake shuffle, an empirical copula): the forecast of each series at a step becomes a set of samples; the samples of
all series are put into the order of their seasonal changes on the same past dates; the sum of all series on one date
is then one sample of the sum.

Source: Clark et al. (2004), doi 10.1175/1525-7541(2004)005<0243:TSSAMF>2.0.CO;2, for the shuffle; Ben Taieb, Taylor &
Hyndman (2021), doi 10.1080/01621459.2020.1736081, for sums of series by a copula of their past.
"""

from __future__ import annotations

from statistics import NormalDist

import numpy as np

from models.arrays import Float32Array, FloatArray, FloatingArray, Int16Array
from models.hierarchy.hierarchy import Hierarchy
from models.panel.panel import Panel

DATES = 256
"""Number of past dates whose order is used, and the smallest number of samples."""

ENOUGH_DATES = 8
"""With fewer dates, how series move together is unknown; the widest possible sums are taken."""

_CHUNK = 16_384


def quantiles_of_sums(
    quantiles: FloatingArray,
    quantile_levels: FloatArray,
    panel: Panel,
    hierarchy: Hierarchy,
    *,
    lower_bound: float | None = None,
    upper_bound: float | None = None,
    seed: int = 0,
) -> FloatArray:
    """Quantiles of each aggregate, step by step.

    Args:
        quantiles: Shape (series, horizon, level), of the panel's series in its order; never NaN, never crossing.
        quantile_levels: Shape (level,), ascending.
        panel: The history up to the cutoff.
        hierarchy: Which series add up to which aggregates.
        lower_bound: No series is below it; an aggregate of n series is not below n times that.
        upper_bound: No series is above it.
        seed: Orders the samples that the past does not order.

    Returns:
        Shape (aggregate, horizon, level); never NaN, never crossing. An aggregate of a single series has the
        quantiles of that series.
    """
    series, horizon, _ = quantiles.shape
    result = np.empty((len(hierarchy), horizon, len(quantile_levels)))
    season = panel.season_lengths[0]
    known: tuple[int, Int16Array] | None = None
    chunks = [slice(first, min(first + _CHUNK, series)) for first in range(0, series, _CHUNK)]
    matrices = [hierarchy.matrix(chunk) for chunk in chunks]
    for step in range(horizon):
        lag = _usable_lag(panel, season * (step // season + 1), season)
        if known is None or known[0] != lag:
            known = lag, joint_ranks(panel, lag, seed)
        ranks = known[1]
        weights = sample_weights(quantile_levels, ranks.shape[1])
        sums = np.zeros((len(hierarchy), ranks.shape[1]))
        for chunk, matrix in zip(chunks, matrices, strict=True):
            samples = np.clip(quantiles[chunk, step] @ weights, lower_bound, upper_bound)
            sums += matrix @ np.take_along_axis(samples, ranks[chunk].astype(np.int64), axis=1)
        # Hazen's rule takes sorted samples as the quantiles at (i + 0.5) / samples, where `sample_weights` put them.
        result[:, step] = np.quantile(sums, quantile_levels, axis=1, method="hazen", overwrite_input=True).T
    _copy_single_parts(result, quantiles, hierarchy)
    return np.maximum.accumulate(result, axis=-1)


def sample_weights(quantile_levels: FloatArray, samples: int) -> FloatArray:
    """Weights that turn quantiles into equally likely samples.

    The quantile function is taken as linear in normal scores between the quantile levels, and extrapolated so beyond
    the outermost ones: exact where a forecast is normal.

    Args:
        quantile_levels: Shape (level,), ascending.
        samples: Number of samples.

    Returns:
        Shape (level, sample): quantiles @ weights are the quantiles at (i + 0.5) / samples.

    >>> sample_weights(np.array([0.25, 0.75]), 2)
    array([[1., 0.],
           [0., 1.]])
    """
    if len(quantile_levels) == 1:
        return np.ones((1, samples))
    score = np.vectorize(NormalDist().inv_cdf)
    known, wanted = score(quantile_levels), score((np.arange(samples) + 0.5) / samples)
    above = np.clip(np.searchsorted(known, wanted), 1, len(known) - 1)
    share = (wanted - known[above - 1]) / (known[above] - known[above - 1])
    weights = np.zeros((len(known), samples))
    weights[above - 1, np.arange(samples)] = 1 - share
    weights[above, np.arange(samples)] = share
    return weights


def joint_ranks(panel: Panel, lag: int, seed: int) -> Int16Array:
    """Rank of each series' change over `lag` steps among its own changes, on the same past dates for all series.

    Dates on which few series have a change are left out. Where there are fewer dates than `DATES`, each date counts
    several times. Gaps and equal changes get random ranks, drawn for each series alone.

    Args:
        panel: The history.
        lag: In steps; 0 where the past is unknown: all series then have the same ranks.
        seed: Seed of the random ranks.

    Returns:
        Shape (series, sample): each row is a permutation of 0 .. samples - 1.
    """
    chunks = [slice(first, min(first + _CHUNK, len(panel))) for first in range(0, len(panel), _CHUNK)]
    seen = np.zeros(DATES if lag else 0, np.int64)
    for chunk in chunks if lag else ():
        seen += (~np.isnan(_changes(panel, chunk, lag))).sum(axis=0)
    dates = np.flatnonzero(2 * seen > seen.max(initial=0))
    if len(dates) < ENOUGH_DATES:
        return np.tile(np.arange(DATES, dtype=np.int16), (len(panel), 1))
    column = np.tile(dates, -(-DATES // len(dates)))
    ranks = np.empty((len(panel), len(column)), np.int16)
    chance = np.random.default_rng(seed)
    for chunk in chunks:
        changes = _with_gaps_drawn(_changes(panel, chunk, lag)[:, dates], chance)[:, np.searchsorted(dates, column)]
        order = np.lexsort((chance.random(changes.shape, np.float32), changes), axis=-1)
        np.put_along_axis(ranks[chunk], order, np.arange(len(column), dtype=np.int16)[None], axis=1)
    return ranks


def _usable_lag(panel: Panel, lag: int, season: int) -> int:
    """The lag, shortened by whole seasons where the history holds too few such changes; 0 where it holds none."""
    most = int(panel.lengths.max(initial=0)) - ENOUGH_DATES
    return min(lag, max(most // season, 0) * season)


def _changes(panel: Panel, series: slice, lag: int) -> Float32Array:
    """Changes over `lag` steps up to each of the last `DATES` dates, shape (series, DATES); NaN where unknown."""
    begin, end = panel.offsets[:-1][series, None], panel.offsets[1:][series, None]
    newer = end - DATES + np.arange(DATES)
    inside = newer - lag >= begin
    values = panel.values
    with np.errstate(over="ignore", invalid="ignore"):
        change = values[np.where(inside, newer, 0)] - values[np.where(inside, newer - lag, 0)]
    return np.where(inside, change, np.float32(np.nan))


def _with_gaps_drawn(changes: Float32Array, chance: np.random.Generator) -> Float32Array:
    """Changes with each unknown one drawn from the known ones of its series; 0 where it has none."""
    unknown = np.isnan(changes)
    if not unknown.any():
        return changes
    ordered = np.sort(changes, axis=1)
    count = changes.shape[1] - unknown.sum(axis=1, keepdims=True)
    drawn = np.take_along_axis(ordered, (chance.random(changes.shape) * count).astype(np.int64), axis=1)
    return np.where(unknown, np.where(count > 0, drawn, np.float32(0)), changes)


def _copy_single_parts(result: FloatArray, quantiles: FloatingArray, hierarchy: Hierarchy) -> None:
    """Give an aggregate of a single series the quantiles of that series; its samples would only approximate them."""
    single = hierarchy.parts == 1
    for aggregate in hierarchy.part_of:
        (series,) = np.nonzero(single[aggregate])
        result[aggregate[series]] = quantiles[series]
