"""How far off forecasts were at cutoffs within the history."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from models.arrays import Float32Array, FloatArray, IntArray
from models.panel.panel import Panel

ORIGINS = 8


def past_cutoffs(panel: Panel) -> list[int]:
    """Steps from past cutoffs to the panel's own: a season apart, the newest a horizon before it.

    Fewer than `ORIGINS` where half of the longest history would not be left before the oldest; none where a horizon
    takes half of it.
    """
    most = int(panel.lengths.max(initial=0)) // 2
    steps = panel.horizon + panel.season_lengths[0] * np.arange(ORIGINS)
    return [int(back) for back in steps[steps <= most]]


def past_errors(panel: Panel, cutoffs: list[int], means: Callable[[Panel], FloatArray]) -> FloatArray:
    """Forecast less actual at past cutoffs, all steps of all of them side by side.

    Args:
        panel: The history.
        cutoffs: Steps from each of them to the panel's own, a horizon at least.
        means: From a panel to forecasts of shape (series, horizon).

    Returns:
        Shape (series, cutoff * horizon); NaN where nothing was observed.
    """
    return np.concatenate(
        [means(earlier(panel, back)) - panel.tail(panel.horizon, skip=back - panel.horizon) for back in cutoffs], axis=1
    )


def earlier(panel: Panel, steps: int) -> Panel:
    """The panel as it was some steps before its cutoff.

    Every series keeps its length, with nothing observed in front: what is compiled for a panel serves it too.
    """

    def moved(rows: Float32Array, offsets: IntArray) -> Float32Array:
        source = np.arange(len(rows)) - steps
        there = source >= np.repeat(offsets[:-1], np.diff(offsets))
        old = rows[np.where(there, source, 0)]
        return np.where(there if rows.ndim == 1 else there[:, None], old, np.float32(np.nan)).astype(np.float32)

    known, past = panel.known_future, panel.observed_past
    ahead = panel.offsets + panel.horizon * np.arange(len(panel.offsets))
    return replace(
        panel,
        values=moved(panel.values, panel.offsets),
        cutoff_index=panel.cutoff_index - steps,
        known_future=None if known is None else moved(known, ahead),
        observed_past=None if past is None else moved(past, panel.offsets),
    )
