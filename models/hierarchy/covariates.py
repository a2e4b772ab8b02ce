"""What else is known of upper series: what their parts have in common, and the means of their parts' numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from models.arrays import Float32Array, IntArray, StringArray
from models.hierarchy.hierarchy import Hierarchy
from models.panel.panel import Panel


def with_covariates(upper: Panel, panel: Panel, hierarchy: Hierarchy) -> Panel:
    """Upper series with the covariates of the panel below, so that a network can forecast them like any other.

    A category is what all parts have in common, unknown where they differ; a number is the mean over the parts that
    have one.

    Args:
        upper: As `upper_panel` gives it.
        panel: The series below.
        hierarchy: The upper series above them.
    """
    numbers, known, past = panel.static_numbers, panel.known_future, panel.observed_past
    one = np.ones(len(panel), np.int64), np.ones(len(upper), np.int64)
    return replace(
        upper,
        static={name: _in_common(column, hierarchy) for name, column in panel.static.items()},
        static_numbers=None if numbers is None else _means(numbers, hierarchy, *one),
        static_number_names=panel.static_number_names,
        known_future=None
        if known is None
        else _means(known, hierarchy, panel.lengths + panel.horizon, upper.lengths + panel.horizon),
        known_future_names=panel.known_future_names,
        observed_past=None if past is None else _means(past, hierarchy, panel.lengths, upper.lengths),
        observed_past_names=panel.observed_past_names,
    )


def _in_common(column: StringArray, hierarchy: Hierarchy) -> StringArray:
    """The category of all parts of each upper series, "" where they have several."""
    labels, code = np.unique(column, return_inverse=True)
    lowest, highest = np.full(len(hierarchy), len(labels)), np.full(len(hierarchy), -1)
    for above in hierarchy.part_of:
        np.minimum.at(lowest, above, code)
        np.maximum.at(highest, above, code)
    return np.where(lowest == highest, labels[highest], "")


def _means(rows: Float32Array, hierarchy: Hierarchy, lengths: IntArray, upper_lengths: IntArray) -> Float32Array:
    """Means over parts of flat rows that all end at one step: from (total, column) to (total of the upper, column)."""
    starts, upper_ends = np.cumsum(lengths) - lengths, np.cumsum(upper_lengths)
    sums = np.zeros((int(upper_ends[-1]), rows.shape[1]))
    counts = np.zeros(sums.shape, np.int32)
    for series in range(len(lengths)):
        mine = rows[starts[series] : starts[series] + lengths[series]]
        known = ~np.isnan(mine)
        for above in hierarchy.part_of[:, series]:
            there = slice(int(upper_ends[above]) - len(mine), int(upper_ends[above]))
            sums[there] += np.where(known, mine, 0.0)
            counts[there] += known
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan).astype(np.float32)
