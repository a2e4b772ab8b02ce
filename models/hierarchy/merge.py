"""Two panels on one grid as one, such as the series and their aggregates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from models.arrays import Float32Array, IntArray
from models.panel.panel import Panel


def merge_panels(panel: Panel, aggregate: Panel) -> tuple[Panel, IntArray]:
    """Merge two panels on one grid, in the order of ids, with the covariates that both have.

    Returns:
        The merged panel, and for each of its series its place in the two panels end to end: a series of `aggregate`
        has its place there plus the number of series of `panel`.
    """
    names = np.concatenate([panel.series_ids, aggregate.series_ids])
    order = np.argsort(names, kind="stable").astype(np.int64)
    lengths = np.concatenate([panel.lengths, aggregate.lengths])[order]

    def by_step(left: Float32Array | None, right: Float32Array | None, steps_ahead: int = 0) -> Float32Array | None:
        return _if_both(lambda a, b: _by_series(a, panel, b, aggregate, order, steps_ahead), left, right)

    merged = replace(
        aggregate,
        values=_by_series(panel.values, panel, aggregate.values, aggregate, order),
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        series_ids=names[order],
        static={name: np.concatenate([panel.static[name], column])[order] for name, column in aggregate.static.items()},
        static_numbers=_if_both(
            lambda a, b: np.concatenate([a, b])[order], panel.static_numbers, aggregate.static_numbers
        ),
        known_future=by_step(panel.known_future, aggregate.known_future, panel.horizon),
        observed_past=by_step(panel.observed_past, aggregate.observed_past),
        refused=panel.refused,
    )
    return merged, order


def _if_both(
    join: Callable[[Float32Array, Float32Array], Float32Array], left: Float32Array | None, right: Float32Array | None
) -> Float32Array | None:
    return None if left is None or right is None else join(left, right)


def _by_series(
    left: Float32Array,
    left_panel: Panel,
    right: Float32Array,
    right_panel: Panel,
    order: IntArray,
    steps_ahead: int = 0,
) -> Float32Array:
    """Flat rows of two panels in the order of the merged series; each series has `steps_ahead` rows after its end."""
    rows = [
        flat[offsets[i] + i * steps_ahead : offsets[i + 1] + (i + 1) * steps_ahead]
        for flat, offsets in ((left, left_panel.offsets), (right, right_panel.offsets))
        for i in range(len(offsets) - 1)
    ]
    return np.concatenate([rows[i] for i in order])
