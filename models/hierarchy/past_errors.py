"""Errors of forecasts at cutoffs within the history."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from models.arrays import Float32Array, FloatArray, IntArray
from models.panel.panel import Panel

ORIGINS = 8


def past_cutoffs(panel: Panel) -> list[int]:
    """Past cutoffs, as steps before the panel's own: a season apart, the newest a horizon before it.

    There are at most `ORIGINS`, and fewer where the oldest would leave less than half of the longest history before
    it. There is none where the horizon takes half of it.
    """
    most = int(panel.lengths.max(initial=0)) // 2
    steps = panel.horizon + panel.season_lengths[0] * np.arange(ORIGINS)
    return [int(back) for back in steps[steps <= most]]


def past_errors(panel: Panel, cutoffs: list[int], means: Callable[[Panel], FloatArray]) -> FloatArray:
    """Forecast less actual at past cutoffs, with all steps of all cutoffs side by side.

    Args:
        panel: The history.
        cutoffs: Steps from each cutoff to the panel's own; at least a horizon.
        means: From a panel to forecasts of shape (series, horizon).

    Returns:
        Shape (series, cutoff * horizon); NaN where nothing was observed.
    """
    return np.concatenate(
        [means(rewind(panel, back)) - panel.tail(panel.horizon, skip=back - panel.horizon) for back in cutoffs], axis=1
    )


def rewind(panel: Panel, steps: int) -> Panel:
    """The panel as it was some steps before its cutoff.

    Every series keeps its length and begins with steps without a value, so that a function that was compiled for the
    shapes of the panel serves the rewound one too.
    """

    def shifted(rows: Float32Array, offsets: IntArray) -> Float32Array:
        source = np.arange(len(rows)) - steps
        inside = source >= np.repeat(offsets[:-1], np.diff(offsets))
        old = rows[np.where(inside, source, 0)]
        return np.where(inside if rows.ndim == 1 else inside[:, None], old, np.float32(np.nan)).astype(np.float32)

    known, past = panel.known_future, panel.observed_past
    with_horizon = panel.offsets + panel.horizon * np.arange(len(panel.offsets))
    return replace(
        panel,
        values=shifted(panel.values, panel.offsets),
        cutoff_index=panel.cutoff_index - steps,
        known_future=None if known is None else shifted(known, with_horizon),
        observed_past=None if past is None else shifted(past, panel.offsets),
    )
