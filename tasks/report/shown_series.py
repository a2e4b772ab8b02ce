"""Choose the series that the report shows: from large to small, and one that got the fallback."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np

from models.arrays import StringArray
from models.panel.panel import Panel


def choose_series_to_show(panel: Panel, source: Sequence[str] | StringArray, count: int = 6) -> list[int]:
    """Choose the series to show, large ones first.

    Args:
        panel: The night's panel.
        source: Shape (series,), "model" or "fallback", in the panel's order.
        count: How many at most.

    Returns:
        Positions in the panel, each once: series that the model forecast, spread over their sizes (the mean of the
        newest steps), and last the largest series that got the fallback, if there is one.

    Raises:
        ValueError: `source` is not as long as the panel.
    """
    if len(source) != len(panel):
        raise ValueError(f"source names {len(source)} series, the panel holds {len(panel)}; give one for each.")
    with warnings.catch_warnings():
        # A series without a recent value has no mean, and counts as the smallest.
        warnings.filterwarnings("ignore", "Mean of empty slice", RuntimeWarning)
        recent = np.nanmean(
            np.abs(panel.tail(max(2 * panel.horizon, panel.season_lengths[0])), dtype=np.float64), axis=1
        )
    size = np.where(np.isfinite(recent), recent, -1.0)
    by_size = np.argsort(-size, kind="stable")
    is_model = np.asarray(source)[by_size] == "model"
    modelled, others = by_size[is_model], by_size[~is_model]
    kept = min(len(modelled), count - min(len(others), 1))
    spread = np.linspace(0, len(modelled) - 1, kept).round().astype(int) if kept > 0 else np.array([], dtype=int)
    return [int(position) for position in [*modelled[spread], *others[: max(1, count - kept)]]][:count]
