"""The past of upper series: sums of what was observed of their parts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from models.hierarchy import Hierarchy
from models.panel import Panel

FloatArray = npt.NDArray[np.float64]
Float32Array = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]

KNOWN_SHARE = 0.9
"""Of a sum's size that must have been observed; the rest may be what it was a season before."""

REACH_SEASONS = 8
"""So many seasons back a value may stand in; a part that has been silent for longer adds nothing."""

_VALUES_AT_ONCE = 1 << 21


def upper_panel(panel: Panel, hierarchy: Hierarchy) -> Panel:
    """The upper series as a panel of their own, without covariates.

    The value of a sum at a step is the sum of its parts' values. A part without one counts as its newest value at the
    same place of the season, up to `REACH_SEASONS` back, as long as those that were observed make up `KNOWN_SHARE` of
    the sum of sizes; where they do not, the sum is not known. A part that has not begun, or has been silent for longer,
    adds nothing.

    Args:
        panel: The series below.
        hierarchy: The upper series above them.
    """
    length = int(panel.lengths.max(initial=0))
    shape = len(hierarchy) * length
    value, size_seen, size, seen = np.zeros(shape), np.zeros(shape), np.zeros(shape), np.zeros(shape, np.int32)
    for first, last in _chunks(panel.offsets):
        flat = slice(panel.offsets[first], panel.offsets[last])
        owner = np.repeat(np.arange(first, last), panel.lengths[first:last])
        column = length - panel.offsets[owner + 1] + np.arange(flat.start, flat.stop)
        observed = panel.values[flat].astype(np.float64)
        known = ~np.isnan(observed)
        filled = _filled(panel, flat.start, observed, owner)
        for above in hierarchy.part_of:
            cell = above[owner] * length + column
            np.add.at(value, cell, filled)
            np.add.at(size, cell, np.abs(filled))
            np.add.at(size_seen, cell[known], np.abs(observed[known]))
            np.add.at(seen, cell[known], 1)
    value[(seen == 0) | (size_seen < KNOWN_SHARE * size)] = np.nan
    lengths = np.zeros(len(hierarchy), np.int64)
    for above in hierarchy.part_of:
        np.maximum.at(lengths, above, panel.lengths)
    inside = np.arange(length) >= length - lengths[:, None]
    return replace(
        panel,
        values=value.reshape(-1, length)[inside].astype(np.float32),
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        series_ids=hierarchy.series_ids,
        static={},
        static_numbers=None,
        static_number_names=(),
        known_future=None,
        known_future_names=(),
        observed_past=None,
        observed_past_names=(),
        refused={},
    )


def beside(panel: Panel, upper: Panel) -> tuple[Panel, IntArray]:
    """Two panels of one grid as one, in the order of ids; with the covariates that both have.

    Returns:
        The panel, and for each of its series its place in the first panel; for those of the second, that many more.
    """
    names = np.concatenate([panel.series_ids, upper.series_ids])
    order = np.argsort(names, kind="stable").astype(np.int64)
    lengths = np.concatenate([panel.lengths, upper.lengths])[order]
    known, past = (panel.known_future, upper.known_future), (panel.observed_past, upper.observed_past)
    numbers = panel.static_numbers, upper.static_numbers
    both = replace(
        upper,
        values=_in_order(panel.values, upper.values, panel, upper, order),
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        series_ids=names[order],
        static={name: np.concatenate([panel.static[name], column])[order] for name, column in upper.static.items()},
        static_numbers=_if_both(lambda mine, other: np.concatenate([mine, other])[order], *numbers),
        known_future=_if_both(lambda mine, other: _in_order(mine, other, panel, upper, order, panel.horizon), *known),
        observed_past=_if_both(lambda mine, other: _in_order(mine, other, panel, upper, order), *past),
        refused=panel.refused,
    )
    return both, order


def _if_both(
    join: Callable[[Float32Array, Float32Array], Float32Array], mine: Float32Array | None, other: Float32Array | None
) -> Float32Array | None:
    return None if mine is None or other is None else join(mine, other)


def _in_order(
    mine: Float32Array, other: Float32Array, panel: Panel, upper: Panel, order: IntArray, steps_ahead: int = 0
) -> Float32Array:
    """Flat rows of both panels, series by series in an order; each series has some more steps than values."""
    rows = [
        each[offsets[i] + i * steps_ahead : offsets[i + 1] + (i + 1) * steps_ahead]
        for each, offsets in ((mine, panel.offsets), (other, upper.offsets))
        for i in range(len(offsets) - 1)
    ]
    return np.concatenate([rows[i] for i in order])


def _chunks(offsets: IntArray) -> list[tuple[int, int]]:
    """Runs of whole series of some `_VALUES_AT_ONCE` values, one series at least."""
    count = len(offsets) - 1
    edges = [0]
    while edges[-1] < count:
        to = int(np.searchsorted(offsets, offsets[edges[-1]] + _VALUES_AT_ONCE, side="right")) - 1
        edges.append(max(to, edges[-1] + 1))
    return list(pairwise(edges))


def _filled(panel: Panel, start: int, observed: FloatArray, owner: IntArray) -> FloatArray:
    """The values of a stretch of the panel with what stands in for those that are missing; 0 where nothing does."""
    filled = observed.copy()
    missing = np.flatnonzero(np.isnan(observed))
    for season in range(1, REACH_SEASONS + 1):
        earlier = missing + start - season * panel.season_lengths[0]
        there = earlier >= panel.offsets[owner[missing]]
        found = np.where(there, panel.values[np.where(there, earlier, 0)], np.nan)
        has = ~np.isnan(found)
        filled[missing[has]] = found[has]
        missing = missing[~has]
    filled[missing] = 0.0
    return filled
