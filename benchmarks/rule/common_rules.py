"""Rules of others, and the rule that this product began with: which nights of its year each job counts as worse.

A rule takes logarithms of the loss, or of the loss over the seasonal naive's, of shape (job, night), NaN where there is
none. It gives flags of shape (job, night of the year).
"""

from __future__ import annotations

import numpy as np

from benchmarks.rule.simulated_jobs import REFERENCE_NIGHTS
from models.arrays import BoolArray, FloatArray


def weekly_mean(logs: FloatArray, rise: float = 0.1) -> BoolArray:
    """The mean loss of a week is more than 10 % above the mean of the reference nights."""
    loss = np.exp(logs)
    week = np.nanmean(_newest(loss, 7), axis=2)
    return np.asarray(week > (1 + rise) * np.nanmean(loss[:, :REFERENCE_NIGHTS], axis=1, keepdims=True))


def deviations(logs: FloatArray, number: float = 3.0) -> BoolArray:
    """The loss of a night is more than three standard deviations above the mean of the reference nights."""
    loss = np.exp(logs)
    mean, deviation = (of(loss[:, :REFERENCE_NIGHTS], axis=1, keepdims=True) for of in (np.nanmean, np.nanstd))
    return np.asarray(loss[:, REFERENCE_NIGHTS:] > mean + number * deviation)


def starting_point(logs: FloatArray, rate: float = 0.2) -> BoolArray:
    """The cumulative sum that this product's rule began with.

    z = clip((d - median - ln 1.03) / scale, -3, 4) over the reference nights, S = min(max(0, S + z - 0.5), 2h). A
    moving-block bootstrap of 14 nights gives h so that S exceeds it in a share `rate` of years. The rule fires if S > h
    on two nights or S reaches 2h, and the median of 14 nights' d - median is at least ln 1.05. It ends at S < 0.2 h
    after three nights that add nothing.
    """
    centre = np.nanmedian(logs[:, :REFERENCE_NIGHTS], axis=1, keepdims=True)
    scale = 1.4826 * np.nanmedian(np.abs(logs[:, :REFERENCE_NIGHTS] - centre), axis=1, keepdims=True)
    excess = logs - centre
    z = np.clip((excess - np.log(1.03)) / scale, -3, 4)
    limit = _bootstrap_limit(z[:, :REFERENCE_NIGHTS], rate)
    middle = _median(_newest(excess, 14))
    total, above, quiet = np.zeros(len(z)), np.zeros(len(z), int), np.zeros(len(z), int)
    fired, flags = np.zeros(len(z), bool), np.zeros(middle.shape, bool)
    for night in range(middle.shape[1]):
        step, scored = z[:, REFERENCE_NIGHTS + night], ~np.isnan(z[:, REFERENCE_NIGHTS + night])
        total = np.where(scored, np.clip(total + step - 0.5, 0, 2 * limit), total)
        above = np.where(scored, np.where(total > limit, above + 1, 0), above)
        quiet = np.where(scored, np.where(step < 0, quiet + 1, 0), quiet)
        fires = ((above >= 2) | (total >= 2 * limit)) & (middle[:, night] >= np.log(1.05))
        fired = np.where(fired, (total >= 0.2 * limit) | (quiet < 3), fires)
        flags[:, night] = fired
    return flags


def _newest(nights: FloatArray, number: int) -> FloatArray:
    """The newest nights on each night of the year, shape (job, night of the year, number)."""
    return np.lib.stride_tricks.sliding_window_view(nights, number, axis=1)[:, REFERENCE_NIGHTS - number + 1 :]


def _median(nights: FloatArray) -> FloatArray:
    """Median over the last axis of what is not NaN; `nanmedian` takes a minute for it."""
    ordered, known = np.sort(nights, axis=-1), np.count_nonzero(~np.isnan(nights), axis=-1, keepdims=True)
    pair = [np.take_along_axis(ordered, place, axis=-1) for place in ((known - 1) // 2, known // 2)]
    return np.asarray((pair[0] + pair[1])[..., 0] / 2)


def _bootstrap_limit(z: FloatArray, rate: float) -> FloatArray:
    """What the highest sum of a year exceeds in a share `rate` of 300 bootstrapped years of each job, shape (job,)."""
    begin = np.random.default_rng(0).integers(0, REFERENCE_NIGHTS, (300, 27))
    place = ((begin[..., None] + np.arange(14)).reshape(300, -1) % REFERENCE_NIGHTS)[:, :365]
    total, highest = np.zeros((2, len(z), 300))
    steps = np.nan_to_num(z - 0.5)
    for night in place.T:
        total = np.maximum(total + steps[:, night], 0.0)
        highest = np.maximum(highest, total)
    return np.asarray(np.quantile(highest, 1 - rate, axis=1))
