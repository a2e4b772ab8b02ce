"""Reconcile forecasts of series and of their sums: MinT, as hierarchicalforecast has it.

The package is an optional extra that takes seconds to import, so only what reconciles imports it.
"""

from __future__ import annotations

import importlib.util

import numpy as np
import numpy.typing as npt
from scipy import sparse

from models.errors import InputError
from models.hierarchy import Hierarchy

FloatArray = npt.NDArray[np.float64]

LARGEST = 3_000
"""Series and sums together for which all covariances are estimated; of more, variances alone."""


def require_mint() -> None:
    """See that what computes MinT is installed.

    Raises:
        InputError: where it is not; names the remedy.
    """
    if importlib.util.find_spec("hierarchicalforecast") is None:
        raise InputError(
            "hierarchy.method is mint, which needs hierarchicalforecast, and that is not installed. Install it "
            "with `.venv/bin/uv pip install --python .venv/bin/python --require-hashes -r requirements/hierarchy.txt`, "
            "or set hierarchy.method to bottom_up."
        )


def reconciled_means(upper: FloatArray, below: FloatArray, errors: FloatArray, hierarchy: Hierarchy) -> FloatArray:
    """Means of the series below that use what the forecasts of their sums know too.

    Forecasts of series and of sums, each made for itself, do not add up. Of all corrections that make them do, and that
    leave forecasts without bias so, this is the one with the smallest variance of errors, given how errors have varied
    together. Up to `LARGEST` series it knows their covariances, shrunk towards none.

    Args:
        upper: Shape (upper, horizon), forecasts of the sums.
        below: Shape (series, horizon), forecasts of the series.
        errors: Shape (upper + series, cases): past errors, sums first; NaN where unknown. What has no known error
            counts as sure.
        hierarchy: The upper series above the series.

    Returns:
        Shape (series, horizon). They may be beyond bounds.

    Raises:
        ValueError: where nothing finite comes of it.
        Exception: whatever hierarchicalforecast raises on errors that it cannot take.

    Source: Wickramasuriya, Athanasopoulos & Hyndman (2019), doi 10.1080/01621459.2018.1448825, with the shrinkage of
    Schäfer & Strimmer (2005), doi 10.2202/1544-6115.1175.
    """
    from hierarchicalforecast.methods import MinTrace, MinTraceSparse

    base = np.concatenate([upper, below])
    # Its ridges and limits are numbers without unit.
    unit = np.nanmean(np.abs(errors)) if np.isfinite(errors).any() else 0.0
    if not unit > 0:
        return below
    nothing_known = np.isnan(errors).all(axis=1, keepdims=True)
    past = np.where(nothing_known, 0.0, errors / unit)
    matrix = sparse.vstack([hierarchy.matrix(), sparse.eye_array(len(below))]).tocsr()
    if len(base) > LARGEST:
        method, sums = MinTraceSparse("wls_var"), sparse.csr_matrix(matrix)
    else:
        method, sums = MinTrace("mint_shrink"), matrix.toarray()
    made = method.fit_predict(sums, base / unit, y_insample=np.zeros_like(past), y_hat_insample=past)["mean"]
    found = np.asarray(made, np.float64)[len(upper) :] * unit
    if not np.isfinite(found).all():
        raise ValueError("no finite value")
    return found
