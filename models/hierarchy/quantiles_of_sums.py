r"""Quantiles of sums of series, whose forecasts are known one by one and which move together.

Quantiles do not add up: that of a total is the sum of theirs only where all series miss to the same side at once, and
far nearer to the mean where they miss independently. How far they move together is taken from the past (a Schaake
shuffle: an empirical copula). The forecast of each series at a step becomes a sample; the samples of all series are put
in the order of their seasonal changes on the same past dates; each date's sum is then one sample of the sum.

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
"""Past dates whose order is taken, and samples at least."""

ENOUGH_DATES = 8
"""With fewer dates than this nothing is known of how series move together, and the widest sums are taken."""

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
    """Quantiles of each upper series' sum, step by step.

    Args:
        quantiles: Shape (series, horizon, level), of the panel's series in its order; never NaN, never crossing.
        quantile_levels: Shape (level,), ascending.
        panel: The history up to the cutoff.
        hierarchy: The upper series above the panel's.
        lower_bound: No series is below it, so that no sum is below as many times that.
        upper_bound: No series is above it.
        seed: Orders what the past does not.

    Returns:
        Shape (upper, horizon, level); never NaN, never crossing. An upper series of a single part has the quantiles
        of that part.
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
        # The samples of one series lie at the levels (i + 0.5) / samples, which is what Hazen's rule reads off again.
        result[:, step] = np.quantile(sums, quantile_levels, axis=1, method="hazen", overwrite_input=True).T
    _copy_single_parts(result, quantiles, hierarchy)
    return np.maximum.accumulate(result, axis=-1)


def sample_weights(quantile_levels: FloatArray, samples: int) -> FloatArray:
    """How samples at equal distances of probability follow from some quantiles.

    The quantile function is taken as straight in normal scores, between the levels and on beyond the outermost ones:
    exact where a forecast is normal.

    Args:
        quantile_levels: Shape (level,), ascending.
        samples: How many.

    Returns:
        Shape (level, samples): quantiles times it are the quantiles at (i + 0.5) / samples.

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
    """Where each series' change over `lag` steps stood among its own, on the same past dates for all series.

    Dates on which few series have a change are left out. Where dates are fewer than samples are wanted each counts
    several times. What the past does not order, gaps and equal changes, is in an order of chance of each series' own.

    Args:
        panel: The history.
        lag: In steps; 0 where nothing is known of the past, then all series are in one and the same order.
        seed: Of chance.

    Returns:
        Shape (series, sample): in each row the numbers from 0 to samples - 1, one each.
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
    """The lag, or fewer seasons where the history would leave too few changes; 0 where it is too short for one."""
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
    """Unknown changes drawn from the series' known ones; 0 where it has none."""
    unknown = np.isnan(changes)
    if not unknown.any():
        return changes
    ordered = np.sort(changes, axis=1)
    count = changes.shape[1] - unknown.sum(axis=1, keepdims=True)
    drawn = np.take_along_axis(ordered, (chance.random(changes.shape) * count).astype(np.int64), axis=1)
    return np.where(unknown, np.where(count > 0, drawn, np.float32(0)), changes)


def _copy_single_parts(result: FloatArray, quantiles: FloatingArray, hierarchy: Hierarchy) -> None:
    """Give an upper series of a single part that part's quantiles, which samples would only come near to."""
    alone = hierarchy.parts == 1
    for above in hierarchy.part_of:
        (mine,) = np.nonzero(alone[above])
        result[above[mine]] = quantiles[mine]
