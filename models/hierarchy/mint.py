"""Reconcile forecasts of series and of their sums: MinT, as hierarchicalforecast has it.

The package is an optional extra that takes seconds to import, so only what reconciles imports it.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from models.arrays import BoolArray, FloatArray
from models.extras import require_extra
from models.hierarchy.hierarchy import Hierarchy
from models.panel.panel import Panel

LARGEST = 3_000
"""Series and sums together that are reconciled at most: their number squared must fit into memory some times."""

RECENT, COMMON = 256, 0.2


def require_mint() -> None:
    """See that what computes MinT is installed.

    Raises:
        InputError: where it is not; names the remedy.
    """
    require_extra(
        "hierarchicalforecast",
        "hierarchy.method is mint, which needs hierarchicalforecast, and that is",
        "hierarchy",
        "set hierarchy.method to bottom_up",
    )


def reconciled_means(
    upper: FloatArray, below: FloatArray, errors: FloatArray, hierarchy: Hierarchy, fixed: BoolArray
) -> FloatArray:
    """Means of the series below that use what the forecasts of their sums know too.

    Forecasts of series and of sums, each made for itself, do not add up. Of all corrections that make them do, and that
    leave forecasts without bias so, this is the one with the smallest variance of errors, where errors of different
    forecasts are taken as uncorrelated.

    Args:
        upper: Shape (upper, horizon), forecasts of the sums.
        below: Shape (series, horizon), forecasts of the series.
        errors: Shape (upper + series, cases): past errors, sums first; NaN where unknown.
        hierarchy: The upper series above the series.
        fixed: Shape (series,): what is not moved. Nor is a series without a known error; sums without one are
            not looked at.

    Returns:
        Shape (series, horizon). They may be beyond bounds.

    Raises:
        ValueError: where nothing finite comes of it.
        Exception: whatever hierarchicalforecast raises on errors that it cannot take.

    Source: Wickramasuriya, Athanasopoulos & Hyndman (2019), doi 10.1080/01621459.2018.1448825, with variances alone.
    """
    known = ~np.isnan(errors)
    square = np.where(known, errors, 0.0) ** 2
    size = np.sqrt(square.sum(axis=1) / np.maximum(known.sum(axis=1), 1))
    free = ~fixed & (size[len(upper) :] > 0)
    matrix = hierarchy.matrix()[:, free]
    told = (size[: len(upper)] > 0) & (matrix.sum(axis=1) > 0)
    if not told.any():
        return below
    from hierarchicalforecast.methods import MinTrace

    # What is fixed is taken out of the sums; the rest is asked how far to move, from nothing.
    gap = (upper - hierarchy.sums(below))[told]
    sums = sparse.vstack([matrix[told], sparse.eye_array(int(free.sum()))]).toarray()
    of_each = np.concatenate([size[: len(upper)][told], size[len(upper) :][free]])[:, None]
    # Its limits are numbers without unit.
    unit = float(np.median(of_each))
    base = np.concatenate([gap, np.zeros((int(free.sum()), below.shape[1]))]) / unit
    made = MinTrace("wls_var").fit_predict(sums, base, y_insample=np.zeros_like(of_each), y_hat_insample=of_each / unit)
    moves = np.asarray(made["mean"], np.float64)[len(gap) :] * unit
    if not np.isfinite(moves).all():
        raise ValueError("no finite value")
    found = below.copy()
    found[free] += moves
    return found


def of_few_values(panel: Panel) -> BoolArray:
    """Series that keep coming back to one value, such as zero where little is sold; shape (series,).

    More than `COMMON` of the newest values are one and the same. To move the forecast of such a series by a fraction
    moves its quantiles off that value, and its actuals out of them.
    """
    recent = np.sort(panel.tail(RECENT), axis=1)
    count = (~np.isnan(recent)).sum(axis=1, keepdims=True)
    further = np.arange(RECENT) + np.floor(COMMON * count).astype(np.int64)
    same = np.take_along_axis(recent, np.minimum(further, RECENT - 1), axis=1) == recent
    return np.asarray((same & (further < count)).any(axis=1))
