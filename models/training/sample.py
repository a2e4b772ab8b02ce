"""The series that a network learns from where the panel has more values than training should take."""

from __future__ import annotations

from hashlib import blake2b

import numpy as np

from models.arrays import FloatArray, IntArray
from models.panel.panel import Panel


def training_sample(panel: Panel, max_values: int, seed: int) -> Panel:
    """The panel, or a random sample of its series with at most so many values.

    Each series gets a number from its id and the seed, and those with the lowest numbers are drawn. So each night draws
    the same series, and a warm start learns from series that it knows. The first series of each static category is
    drawn before all others.

    Args:
        panel: The series.
        max_values: Number of values, gaps included. One series is drawn even where it is longer.
        seed: Of the draw.
    """
    if len(panel.values) <= max_values:
        return panel
    lot = _lots(panel, seed)
    lot[_first_of_each_category(panel, lot)] -= 1.0
    order = np.argsort(lot, kind="stable")
    count = np.searchsorted(np.cumsum(panel.lengths[order]), max_values, side="right")
    return panel.without(set(panel.series_ids[order[max(count, 1) :]].tolist()))


def _lots(panel: Panel, seed: int) -> FloatArray:
    """A number in [0, 1) for each series, from its id and the seed."""
    key = str(seed).encode()
    digests = b"".join(blake2b(name.encode(), digest_size=8, key=key).digest() for name in panel.series_ids.tolist())
    return np.frombuffer(digests, "<u8") / 2.0**64


def _first_of_each_category(panel: Panel, lot: FloatArray) -> IntArray:
    """For each category of each static column, the series with the lowest lot."""
    order = np.argsort(lot, kind="stable")
    firsts = [order[np.unique(column[order], return_index=True)[1]] for column in panel.static.values()]
    return np.unique(np.concatenate([np.zeros(0, np.int64), *firsts]))
