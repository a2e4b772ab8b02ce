"""Choose the series that a page holds where it cannot hold all: those that lead any of its lists."""

from __future__ import annotations

import numpy as np

from models.arrays import FloatArray, IntArray


def choose_series(most: int, measures: list[FloatArray]) -> IntArray:
    """The series that lead one of some lists, such as the largest and the worst.

    Args:
        most: How many at most.
        measures: For each list what it is sorted by, shape (series,), largest first; NaN for a series that is not in
            the list.

    Returns:
        Shape (chosen,), positions in ascending order.

    >>> choose_series(2, [np.array([3.0, 2.0, 1.0]), np.array([np.nan, 0.5, 0.9])])
    array([0, 2])
    """
    series = len(measures[0])
    if series <= most:
        return np.arange(series)
    best = np.full(series, series, np.int64)
    for measure in measures:
        order = np.argsort(-measure, kind="stable")
        listed = order[: int(np.isfinite(measure).sum())]
        best[listed] = np.minimum(best[listed], np.arange(len(listed)))
    # Of two that lead equally far, the one earlier in the first list.
    first_list = np.where(np.isfinite(measures[0]), -measures[0], np.inf)
    return np.sort(np.lexsort((first_list, best))[:most])
