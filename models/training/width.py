"""How much wider than the network says its intervals have to be, before any night was evaluated.

A network knows the errors of the steps that it has learnt from; those to come are larger. Its held-out steps show by
how much, but they are few stretches of time: all series share the weather of a month, so a thousand series over one
horizon are little more than one observation. So experience with other panels is the estimate to begin with, and the
held-out steps move it in proportion to what they can know (empirical Bayes, Efron & Morris 1973, doi
10.1080/01621459.1973.10481350).
"""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri

from models.arrays import BoolArray, FloatArray, Int32Array
from models.calibration.normal_scores import even_chance, scores_of
from models.network.forecaster import Forecaster
from models.panel.panel import Panel
from models.training.split import choose_windows

# Logarithms. What panels have asked for, see docs/methods.md.
USUAL, SPREAD_OF_PANELS, SPREAD_OF_BLOCKS = float(np.log(1.05)), 0.1, 0.15
# The spread of the blocks as known beforehand counts as much as so many blocks.
PRIOR_BLOCKS = 3.0
MOST_WINDOWS, FEWEST_POINTS = 1_024, 30
WIDTH_LIMITS = 0.8, 2.0
# The share of actuals, and the score within which correct forecasts hold it.
SHARE = 0.8
SCORE = float(ndtri(0.5 + SHARE / 2))


def expected_width(trained: Forecaster, panel: Panel) -> float:
    """The factor by which the distances of the quantiles from the median are multiplied.

    Args:
        trained: Just trained; its weights before settling have not learnt from the held-out steps.
        panel: What it was trained on.
    """
    network, plan = trained.before_settling(), trained.plan
    network.width = 1.0
    windows = _thinned(choose_windows(panel.offsets, panel.observed, plan).validation)
    needed = [] if len(plan.quantile_levels) < 2 else _needed(network, panel, windows)
    return float(np.exp(np.clip(_posterior(np.log(needed)), *np.log(WIDTH_LIMITS))))


def _thinned(windows: Int32Array) -> Int32Array:
    if len(windows) <= MOST_WINDOWS:
        return windows
    return windows[np.linspace(0, len(windows) - 1, MOST_WINDOWS).astype(np.int64)]


def _needed(network: Forecaster, panel: Panel, windows: Int32Array) -> list[float]:
    """The width with which each stretch of held-out steps, as long as the horizon, would have held its share."""
    horizon, levels = network.plan.horizon, np.array(network.plan.quantile_levels)
    kept, row = np.unique(windows[:, 0], return_inverse=True)
    back = panel.offsets[1:][windows[:, 0]] - 1 - windows[:, 1]
    others = panel.series_ids[np.isin(np.arange(len(panel)), kept, invert=True)]
    near = panel.without(set(others.tolist())).newest(network.look_back + int(back.max(initial=0)))
    end = near.offsets[1:][row]
    origin = end - 1 - back
    able = origin >= near.offsets[:-1][row]
    row, end, origin = row[able], end[able], origin[able]
    if not len(row):
        return []
    found = network.quantiles_at(near, network.flatten(near), row, origin, (None, None))
    ahead = origin[:, None] + np.arange(1, horizon + 1)
    actual = np.where(ahead < end[:, None], near.values[np.minimum(ahead, len(near.values) - 1)], np.nan)
    block = (end[:, None] - 1 - ahead) // horizon
    known = ~np.isnan(actual) & np.isfinite(found).all(axis=-1)
    score = _sizes(actual, found, known, levels)
    needed = [score[block[known] == each] for each in np.unique(block[known])]
    sizes = [each[~np.isnan(each)] for each in needed]
    return [max(float(np.quantile(each, SHARE)) / SCORE, 1e-3) for each in sizes if len(each) >= FEWEST_POINTS]


def _sizes(actual: FloatArray, quantiles: FloatArray, known: BoolArray, levels: FloatArray) -> FloatArray:
    """Sizes of the normal scores of the known points, shape (point,); NaN where a forecast has no width."""
    series, step = np.nonzero(known)
    scores = np.broadcast_to(ndtri(levels), (len(series), len(levels)))
    chance = even_chance(series, step, 0)
    return np.abs(scores_of(actual[known], quantiles[known], scores, scores, (None, None), chance))


def _posterior(observed: FloatArray) -> float:
    """The expected logarithm of the width, from those that blocks of time have needed; shape (block,).

    >>> [round(_posterior(np.full(blocks, 0.3)), 3) for blocks in (0, 1, 50)]
    [0.049, 0.126, 0.299]
    """
    count = len(observed)
    if not count:
        return USUAL
    distance = ((observed - observed.mean()) ** 2).sum()
    variance = (PRIOR_BLOCKS * SPREAD_OF_BLOCKS**2 + distance) / (PRIOR_BLOCKS + count - 1)
    certain, seen = 1 / SPREAD_OF_PANELS**2, count / variance
    return float((certain * USUAL + seen * observed.mean()) / (certain + seen))
