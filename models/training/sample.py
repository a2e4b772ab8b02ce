"""Which series a network learns from where there are more values than training should look at."""

from __future__ import annotations

from hashlib import blake2b

import numpy as np

from models.arrays import FloatArray, IntArray
from models.panel.panel import Panel


def training_sample(panel: Panel, max_values: int, seed: int) -> Panel:
    """The panel, or an even sample of its series that has at most so many values.

    Each series gets a number from its id and the seed, and the lowest ones are drawn: the same series as the night
    before, as far as they are still there, so that a warm start goes on with those that it knows. Before all others
    comes the first series of each static category.

    Args:
        panel: The series.
        max_values: Values, gaps too; one series is drawn however long it is.
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
    """A number in [0, 1) for each series, of its id and the seed alone."""
    key = str(seed).encode()
    digests = b"".join(blake2b(name.encode(), digest_size=8, key=key).digest() for name in panel.series_ids.tolist())
    return np.frombuffer(digests, "<u8") / 2.0**64


def _first_of_each_category(panel: Panel, lot: FloatArray) -> IntArray:
    """The series with the lowest lot of each category of each static column."""
    order = np.argsort(lot, kind="stable")
    firsts = [order[np.unique(column[order], return_index=True)[1]] for column in panel.static.values()]
    return np.unique(np.concatenate([np.zeros(0, np.int64), *firsts]))
