"""How much forecasts change from one night to the next: what a reader sees who plans by them every day."""

from __future__ import annotations

import numpy as np

from models.arrays import BoolArray, FloatArray
from models.metrics.evaluate import Score

METRIC = "instability"


def changes(tonight: FloatArray, before: FloatArray, gap: int, unit: FloatArray) -> FloatArray:
    """How far tonight's forecast of each day lies from that of an earlier night.

    Args:
        tonight: Shape (series, horizon), forecasts of tonight; NaN where there is none.
        before: Shape (series, horizon of then), those of the earlier night.
        gap: Steps from the cutoff of then to tonight's, 1 at least.
        unit: Shape (series,), each series' seasonal error.

    Returns:
        Shape (series, horizon), |difference| in units of the series' own; NaN where one of the two has no forecast of
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
        Means over series (and steps), of those steps alone that the two nights share.
    """
    mine, other = model[mask], naive[mask]
    columns = [slice(None), *(slice(step, step + 1) for step in range(model.shape[1]))]
    known = np.count_nonzero(~np.isnan(mine), axis=0)
    n = [int(known.sum()), *known.tolist()]
    return [
        Score(METRIC, step, mean_change(mine[:, at]), mean_change(other[:, at]), n[step])
        for step, at in enumerate(columns)
        if n[step]
    ]
