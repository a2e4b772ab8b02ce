"""Case-mix adjustment: how much of an evaluation's loss relative to the naive's its mix of days alone explains.

Some days are special, such as holidays and promotions; the naive fails on them more than a network does. The
adjustment is indirect standardisation, as mortality is compared between places of different age (Breslow & Day 1987,
*Statistical Methods in Cancer Research* II, chapter 2): each loss is divided by the loss that is expected of the
evaluation's mix of special and other days.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.arrays import FloatArray, IntArray

# Number of points of the mean loss that each kind of day starts with, since the mean of few points says little.
PRIOR_POINTS = 500.0


@dataclass(frozen=True)
class CaseMix:
    """Losses of evaluations, and the part of them on special days.

    Attributes:
        n: Shape (evaluation,), number of points.
        loss: Shape (evaluation,), their mean loss.
        baseline_loss: Shape (evaluation,), the mean loss of the seasonal naive.
        special_n: Shape (evaluation,), number of points on special days; NaN where unknown.
        special_loss: Shape (evaluation,), their mean loss; NaN where there is none.
        special_baseline_loss: Shape (evaluation,), the mean loss of the naive on them.
    """

    n: FloatArray
    loss: FloatArray
    baseline_loss: FloatArray
    special_n: FloatArray
    special_loss: FloatArray
    special_baseline_loss: FloatArray


def expected_log_ratio(mix: CaseMix, reference: IntArray) -> FloatArray:
    """The log ratio of both losses that the mix of days alone lets expect, relative to that of the reference mix.

    Args:
        mix: The evaluations.
        reference: Indices of the evaluations that tell the expected loss of each kind of day.

    Returns:
        Shape (evaluation,); 0 where the mix is unknown, and everywhere if the reference has days of one kind only.
    """
    zero = np.zeros(len(mix.n))
    known = reference[
        np.isfinite(mix.special_n[reference]) & np.isfinite(mix.loss[reference] + mix.baseline_loss[reference])
    ]
    points, special = mix.n[known].sum(), mix.special_n[known].sum()
    if not special or special == points:
        return zero
    share = np.divide(mix.special_n, mix.n, out=zero.copy(), where=mix.n > 0)
    reference_share = special / points
    logs = []
    for loss, loss_on_special in ((mix.loss, mix.special_loss), (mix.baseline_loss, mix.special_baseline_loss)):
        total, total_on_special = (mix.n * loss)[known].sum(), np.nansum((mix.special_n * loss_on_special)[known])
        mean = total / points
        if not mean > 0:
            return zero
        on_special = (total_on_special + PRIOR_POINTS * mean) / (special + PRIOR_POINTS)
        on_others = (total - total_on_special + PRIOR_POINTS * mean) / (points - special + PRIOR_POINTS)
        difference = on_special - on_others
        logs.append(np.log(on_others + share * difference) - np.log(on_others + reference_share * difference))
    return np.where(np.isfinite(share), logs[0] - logs[1], 0.0)
