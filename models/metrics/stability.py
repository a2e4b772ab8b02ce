"""Instability: how much forecasts of the same day change from one night to the next (Van Belle et al. 2023)."""

from __future__ import annotations

import numpy as np

from models.arrays import BoolArray, FloatArray
from models.metrics.evaluate import Score

METRIC = "instability"


def changes(tonight: FloatArray, before: FloatArray, gap: int, unit: FloatArray) -> FloatArray:
    """How far tonight's forecast of each day lies from an earlier night's.

    Args:
        tonight: Shape (series, horizon), tonight's forecasts; NaN where there is none.
        before: Shape (series, earlier horizon), those of the earlier night.
        gap: Steps from the earlier cutoff to tonight's; at least 1.
        unit: Shape (series,), each series' seasonal error.

    Returns:
        Shape (series, horizon), |difference| in units of each series; NaN where one of the nights has no forecast of
        that day.

    >>> changes(np.array([[4.0, 6.0]]), np.array([[1.0, 5.0]]), 1, np.array([2.0]))
    array([[0.5, nan]])
    """
    shared = max(min(tonight.shape[1], before.shape[1] - gap), 0)
    found = np.full(tonight.shape, np.nan)
    found[:, :shared] = np.abs(tonight[:, :shared] - before[:, gap : gap + shared]) / unit[:, None]
    return found


def mean_change(change: FloatArray) -> float:
    """The mean of `changes` over series and steps; NaN where the nights share no day."""
    known = ~np.isnan(change)
    return float(change[known].mean()) if known.any() else float("nan")


def instability_scores(model: FloatArray, naive: FloatArray, mask: BoolArray) -> list[Score]:
    """The metric `instability` of one segment, over all shared steps (0) and of each.

    Args:
        model: Shape (series, horizon), `changes` of the forecasts.
        naive: Shape (series, horizon), those of the seasonal naive.
        mask: Shape (series,).

    Returns:
        Means over series (and steps), for those steps only that the two nights share.
    """
    of_model, of_naive = model[mask], naive[mask]
    columns = [slice(None), *(slice(step, step + 1) for step in range(model.shape[1]))]
    known = np.count_nonzero(~np.isnan(of_model), axis=0)
    n = [int(known.sum()), *known.tolist()]
    return [
        Score(METRIC, step, mean_change(of_model[:, at]), mean_change(of_naive[:, at]), n[step])
        for step, at in enumerate(columns)
        if n[step]
    ]
