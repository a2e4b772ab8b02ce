"""Unbroken runs of anomalies."""

from __future__ import annotations

import numpy as np

from models.arrays import IntArray


def run_starts(index: IntArray, series: IntArray, began: IntArray) -> IntArray:
    """Where the run begins that each anomaly belongs to: those of one series on steps that follow each other.

    Args:
        index: Shape (row,), grid positions; no position twice for a series.
        series: Shape (row,), the series.
        began: Shape (row,), where the run of the row began, should nothing come right before it: its own position, or
            an earlier one.

    Returns:
        Shape (row,), grid positions.

    >>> index, series = np.array([7, 5, 6, 6, 9]), np.array([0, 0, 0, 1, 0])
    >>> run_starts(index, series, began=np.array([7, 3, 6, 6, 9])).tolist()
    [3, 3, 3, 6, 9]
    """
    order = np.lexsort((index, series))
    place, who = index[order], series[order]
    opens = np.ones(len(order), bool)
    opens[1:] = (who[1:] != who[:-1]) | (place[1:] != place[:-1] + 1)
    run = np.cumsum(opens) - 1
    starts = np.empty(len(order), np.int64)
    starts[order] = began[order][opens][run] if len(order) else began
    return starts
