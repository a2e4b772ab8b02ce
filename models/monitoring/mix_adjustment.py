"""Losses beside the naive's as they would be if every evaluation had the same mix of days.

Indirect standardisation, as mortality is compared between places of different age (Breslow & Day 1987, *Statistical
Methods in Cancer Research* II, chapter 2): each loss is divided by the one that the evaluation's mix of days lets
expect.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.arrays import FloatArray, IntArray

# Points that a kind of days is taken to have had of the usual loss: of few, its own mean says little.
USUAL_POINTS = 500.0


@dataclass(frozen=True)
class Mixed:
    """Losses of evaluations and of those of their points that are unlike the ones which the naive repeats.

    Attributes:
        n: Shape (evaluation,), points.
        loss: Shape (evaluation,), their mean loss.
        baseline_loss: Shape (evaluation,), the naive's.
        special_n: Shape (evaluation,), how many of the points are unlike; NaN where that is not known.
        special_loss: Shape (evaluation,), NaN where there is none.
        special_baseline_loss: Shape (evaluation,), likewise.
    """

    n: FloatArray
    loss: FloatArray
    baseline_loss: FloatArray
    special_n: FloatArray
    special_loss: FloatArray
    special_baseline_loss: FloatArray


def expected_log_ratio(mixed: Mixed, usual: IntArray) -> FloatArray:
    """What the mix of days alone lets expect of the log ratio of both losses, less what the usual mix does.

    Args:
        mixed: The evaluations.
        usual: Those that tell what either kind of days is expected to lose.

    Returns:
        Shape (evaluation,), 0 where the mix is not known, and everywhere if days of one kind are all there is.
    """
    nothing = np.zeros(len(mixed.n))
    told = usual[np.isfinite(mixed.special_n[usual]) & np.isfinite(mixed.loss[usual] + mixed.baseline_loss[usual])]
    points, unlike = mixed.n[told].sum(), mixed.special_n[told].sum()
    if not unlike or unlike == points:
        return nothing
    share, usual_share = np.divide(mixed.special_n, mixed.n, out=nothing.copy(), where=mixed.n > 0), unlike / points
    logs = []
    for loss, of_special in ((mixed.loss, mixed.special_loss), (mixed.baseline_loss, mixed.special_baseline_loss)):
        whole, part = (mixed.n * loss)[told].sum(), np.nansum((mixed.special_n * of_special)[told])
        mean = whole / points
        if not mean > 0:
            return nothing
        different = (part + USUAL_POINTS * mean) / (unlike + USUAL_POINTS)
        same = (whole - part + USUAL_POINTS * mean) / (points - unlike + USUAL_POINTS)
        logs.append(np.log(same + share * (different - same)) - np.log(same + usual_share * (different - same)))
    return np.where(np.isfinite(share), logs[0] - logs[1], 0.0)
