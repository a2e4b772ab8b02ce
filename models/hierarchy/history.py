"""The history of aggregates: sums of what was observed of their parts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from models.arrays import FloatArray
from models.hierarchy.hierarchy import Hierarchy
from models.panel.panel import Panel

KNOWN_SHARE = 0.9
"""Share of an aggregate's size that must be observed; values of earlier seasons may stand in for the rest."""

REACH_SEASONS = 8
"""Number of seasons for which an old value stands in for missing ones; a part silent for longer adds nothing."""

_VALUES_AT_ONCE = 1 << 21


def aggregate_panel(panel: Panel, hierarchy: Hierarchy) -> Panel:
    """The aggregates as a panel of their own, without covariates.

    The value of an aggregate at a step is the sum of its parts' values. Where a part has no value, its newest value at
    the same place of the season stands in, from up to `REACH_SEASONS` before. The aggregate is NaN where the observed
    parts make up less than `KNOWN_SHARE` of the sum of absolute values. A part that has not begun, or has been silent
    for longer, adds nothing.

    Args:
        panel: The series.
        hierarchy: Which series add up to which aggregates.
    """
    length = int(panel.lengths.max(initial=0))
    # For each aggregate and step: the sum, the sum of sizes, the sum of observed sizes, and the number observed.
    sums = np.zeros((len(hierarchy), 4, length))
    rows = max(1, _VALUES_AT_ONCE // max(length, 1))
    for first in range(0, len(panel), rows):
        observed = _ends(panel, slice(first, first + rows), length)
        filled, known = _filled(observed, panel.season_lengths[0]), ~np.isnan(observed)
        each = np.stack([filled, np.abs(filled), np.where(known, np.abs(filled), 0.0), known], axis=1)
        touched, part_of = np.unique(hierarchy.part_of[:, first : first + rows], return_inverse=True)
        some = replace(hierarchy, series_ids=hierarchy.series_ids[touched], part_of=part_of.reshape(-1, len(observed)))
        sums[touched] += some.sums(each)
    value, size, size_observed, count = sums.transpose(1, 0, 2)
    value = np.where((count == 0) | (size_observed < KNOWN_SHARE * size), np.nan, value)
    lengths = np.zeros(len(hierarchy), np.int64)
    for aggregate in hierarchy.part_of:
        np.maximum.at(lengths, aggregate, panel.lengths)
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


def _ends(panel: Panel, series: slice, length: int) -> FloatArray:
    """The last steps of some series, shape (those, length); NaN before a series began."""
    begin, end = panel.offsets[:-1][series, None], panel.offsets[1:][series, None]
    place = end - length + np.arange(length)
    return np.where(place >= begin, panel.values[np.maximum(place, 0)], np.nan).astype(np.float64)


def _filled(observed: FloatArray, season: int) -> FloatArray:
    """Observed values, with values of earlier seasons for missing ones; 0 where there is none of these either."""
    filled = observed.copy()
    series, step = np.nonzero(np.isnan(observed))
    for back in range(season, (REACH_SEASONS + 1) * season, season):
        found = np.where(step >= back, observed[series, np.maximum(step - back, 0)], np.nan)
        has = ~np.isnan(found)
        filled[series[has], step[has]] = found[has]
        series, step = series[~has], step[~has]
    filled[series, step] = 0.0
    return filled
