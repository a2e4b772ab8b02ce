"""Reconciliation of the forecasts of series and of their aggregates by MinT, as hierarchicalforecast computes it.

hierarchicalforecast is an optional extra that takes seconds to import; only the function that reconciles imports it.
"""

from __future__ import annotations

import numpy as np

from models.arrays import BoolArray, FloatArray
from models.extras import require_extra
from models.hierarchy.hierarchy import Hierarchy
from models.panel.panel import Panel

LARGEST = 3_000
"""Most series and aggregates that are reconciled together: memory grows with the square of their number."""

# Newest steps of a series, and the share of their values that must be equal, for `repeats_one_value`.
RECENT, COMMON = 256, 0.2


def require_mint() -> None:
    """Check that the package that computes MinT is installed.

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
    aggregate: FloatArray, series: FloatArray, errors: FloatArray, hierarchy: Hierarchy, fixed: BoolArray
) -> FloatArray:
    """Means of the series that also use what the forecasts of their aggregates know.

    Independent forecasts of series and aggregates do not add up. MinT is the unbiased correction that makes them add
    up with the smallest variance of errors; here the errors of different forecasts are taken as uncorrelated.

    Args:
        aggregate: Shape (aggregate, horizon), forecasts of the aggregates.
        series: Shape (series, horizon), forecasts of the series.
        errors: Shape (aggregate + series, case): past errors, those of the aggregates first; NaN where unknown.
        hierarchy: Which series add up to which aggregates.
        fixed: Shape (series,): whether a series keeps its forecast. A series without a known error keeps it too; an
            aggregate without one is not used.

    Returns:
        Shape (series, horizon). They may lie beyond the bounds of the series.

    Raises:
        ValueError: where the result is not finite.
        Exception: whatever hierarchicalforecast raises on errors that it cannot use.

    Source: Wickramasuriya, Athanasopoulos & Hyndman (2019), doi 10.1080/01621459.2018.1448825, with variances alone.
    """
    known = ~np.isnan(errors)
    square = np.where(known, errors, 0.0) ** 2
    size = np.sqrt(square.sum(axis=1) / np.maximum(known.sum(axis=1), 1))
    free = ~fixed & (size[len(aggregate) :] > 0)
    matrix = hierarchy.matrix()[:, free]
    usable = (size[: len(aggregate)] > 0) & (matrix.sum(axis=1) > 0)
    if not usable.any():
        return series
    from hierarchicalforecast.methods import MinTrace
    from scipy import sparse

    # Fixed series are subtracted from the aggregates; MinT then finds how far the free ones move, starting from zero.
    gap = (aggregate - hierarchy.sums(series))[usable]
    sums = sparse.vstack([matrix[usable], sparse.eye_array(int(free.sum()))]).toarray()
    error_size = np.concatenate([size[: len(aggregate)][usable], size[len(aggregate) :][free]])[:, None]
    # MinTrace compares variances with constants that have no unit.
    unit = float(np.median(error_size))
    base = np.concatenate([gap, np.zeros((int(free.sum()), series.shape[1]))]) / unit
    made = MinTrace("wls_var").fit_predict(
        sums, base, y_insample=np.zeros_like(error_size), y_hat_insample=error_size / unit
    )
    moves = np.asarray(made["mean"], np.float64)[len(gap) :] * unit
    if not np.isfinite(moves).all():
        raise ValueError("no finite value")
    reconciled = series.copy()
    reconciled[free] += moves
    return reconciled


def repeats_one_value(panel: Panel) -> BoolArray:
    """Series that often return to one value, such as zero where little is sold; shape (series,).

    More than `COMMON` of their newest values are equal. Moving the forecast of such a series by a fraction would move
    its quantiles off that value, and its actuals out of its intervals.
    """
    recent = np.sort(panel.tail(RECENT), axis=1)
    count = (~np.isnan(recent)).sum(axis=1, keepdims=True)
    further = np.arange(RECENT) + np.floor(COMMON * count).astype(np.int64)
    same = np.take_along_axis(recent, np.minimum(further, RECENT - 1), axis=1) == recent
    return np.asarray((same & (further < count)).any(axis=1))
