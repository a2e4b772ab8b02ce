"""Covariates of aggregates: the categories that all parts share, and the means of the parts' numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from models.arrays import Float32Array, IntArray, StringArray
from models.hierarchy.hierarchy import Hierarchy
from models.panel.panel import Panel


def with_covariates(aggregate: Panel, panel: Panel, hierarchy: Hierarchy) -> Panel:
    """Aggregates with the covariates of their series, so that a network can forecast them like any other series.

    The category of an aggregate is the one that all its parts share, and "" where they differ. A number is the mean
    over the parts that have one.

    Args:
        aggregate: The aggregates, as `aggregate_panel` gives them.
        panel: The series that they sum.
        hierarchy: Which series add up to which aggregates.
    """
    numbers, known, past = panel.static_numbers, panel.known_future, panel.observed_past
    one = np.ones(len(panel), np.int64), np.ones(len(aggregate), np.int64)
    return replace(
        aggregate,
        static={name: _shared(column, hierarchy) for name, column in panel.static.items()},
        static_numbers=None if numbers is None else _means(numbers, hierarchy, *one),
        static_number_names=panel.static_number_names,
        known_future=None
        if known is None
        else _means(known, hierarchy, panel.lengths + panel.horizon, aggregate.lengths + panel.horizon),
        known_future_names=panel.known_future_names,
        observed_past=None if past is None else _means(past, hierarchy, panel.lengths, aggregate.lengths),
        observed_past_names=panel.observed_past_names,
    )


def _shared(column: StringArray, hierarchy: Hierarchy) -> StringArray:
    """The category that all parts of each aggregate share, "" where they differ."""
    labels, code = np.unique(column, return_inverse=True)
    lowest, highest = np.full(len(hierarchy), len(labels)), np.full(len(hierarchy), -1)
    for aggregate in hierarchy.part_of:
        np.minimum.at(lowest, aggregate, code)
        np.maximum.at(highest, aggregate, code)
    return np.where(lowest == highest, labels[highest], "")


def _means(rows: Float32Array, hierarchy: Hierarchy, lengths: IntArray, aggregate_lengths: IntArray) -> Float32Array:
    """Means over parts of flat rows that all end at one step.

    From (sum of `lengths`, column) to (sum of `aggregate_lengths`, column).
    """
    starts, aggregate_ends = np.cumsum(lengths) - lengths, np.cumsum(aggregate_lengths)
    sums = np.zeros((int(aggregate_ends[-1]), rows.shape[1]))
    counts = np.zeros(sums.shape, np.int32)
    for series in range(len(lengths)):
        part = rows[starts[series] : starts[series] + lengths[series]]
        known = ~np.isnan(part)
        for aggregate in hierarchy.part_of[:, series]:
            place = slice(int(aggregate_ends[aggregate]) - len(part), int(aggregate_ends[aggregate]))
            sums[place] += np.where(known, part, 0.0)
            counts[place] += known
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan).astype(np.float32)
