"""A panel in shards: some series at a time, so that what is computed from them is never there for all at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from models.panel import Panel

SHARD_SERIES = 4_096
"""Series of one shard where nobody says otherwise: two full batches of the network."""


def shards(series: int, size: int = SHARD_SERIES) -> Iterator[slice]:
    """The places of so many series, `size` at a time and in their order; the last ones may be fewer.

    >>> list(shards(5, 2))
    [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    for first in range(0, series, size):
        yield slice(first, min(first + size, series))


def shard_of(panel: Panel, series: slice) -> Panel:
    """The panel of one shard; its arrays are views of the panel's.

    Args:
        panel: All series.
        series: The shard's, both ends given (see `shards`).
    """
    first, end = series.start, series.stop
    if (first, end) == (0, len(panel)):
        return panel
    begin, stop = int(panel.offsets[first]), int(panel.offsets[end])
    ahead = slice(begin + first * panel.horizon, stop + end * panel.horizon)
    names = panel.series_ids[series]
    return replace(
        panel,
        values=panel.values[begin:stop],
        offsets=panel.offsets[first : end + 1] - begin,
        series_ids=names,
        static={name: column[series] for name, column in panel.static.items()},
        static_numbers=None if panel.static_numbers is None else panel.static_numbers[series],
        known_future=None if panel.known_future is None else panel.known_future[ahead],
        observed_past=None if panel.observed_past is None else panel.observed_past[begin:stop],
        refused={name: panel.refused[name] for name in names.tolist() if name in panel.refused},
    )
