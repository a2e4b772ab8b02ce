"""The past of upper series: sums of what was observed of their parts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from models.arrays import Float32Array, FloatArray, IntArray
from models.hierarchy.hierarchy import Hierarchy
from models.panel.panel import Panel

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
    # Of each upper series and step: the sum, the sum of sizes, that of the sizes observed, and the number observed.
    sums = np.zeros((len(hierarchy), 4, length))
    rows = max(1, _VALUES_AT_ONCE // max(length, 1))
    for first in range(0, len(panel), rows):
        observed = _ends(panel, slice(first, first + rows), length)
        filled, known = _filled(observed, panel.season_lengths[0]), ~np.isnan(observed)
        each = np.stack([filled, np.abs(filled), np.where(known, np.abs(filled), 0.0), known], axis=1)
        above, part_of = np.unique(hierarchy.part_of[:, first : first + rows], return_inverse=True)
        mine = replace(hierarchy, series_ids=hierarchy.series_ids[above], part_of=part_of.reshape(-1, len(observed)))
        sums[above] += mine.sums(each)
    value, size, size_observed, count = sums.transpose(1, 0, 2)
    value = np.where((count == 0) | (size_observed < KNOWN_SHARE * size), np.nan, value)
    lengths = np.zeros(len(hierarchy), np.int64)
    for above in hierarchy.part_of:
        np.maximum.at(lengths, above, panel.lengths)
    inside = np.arange(length) >= length - lengths[:, None]
    return replace(
        panel,
        values=value[inside].astype(np.float32),
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


def _ends(panel: Panel, series: slice, length: int) -> FloatArray:
    """The last steps of some series, shape (those, length); NaN before a series began."""
    begin, end = panel.offsets[:-1][series, None], panel.offsets[1:][series, None]
    place = end - length + np.arange(length)
    return np.where(place >= begin, panel.values[np.maximum(place, 0)], np.nan).astype(np.float64)


def _filled(observed: FloatArray, season: int) -> FloatArray:
    """Values, and what stands in for those that are missing; 0 where nothing does."""
    filled = observed.copy()
    series, step = np.nonzero(np.isnan(observed))
    for back in range(season, (REACH_SEASONS + 1) * season, season):
        found = np.where(step >= back, observed[series, np.maximum(step - back, 0)], np.nan)
        has = ~np.isnan(found)
        filled[series[has], step[has]] = found[has]
        series, step = series[~has], step[~has]
    filled[series, step] = 0.0
    return filled
