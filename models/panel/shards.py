"""A panel in shards: some series at a time, so that results for all series never need memory at once."""

from __future__ import annotations

from collections.abc import Iterator

SHARD_SERIES = 4_096
"""Default number of series in a shard: two full batches of the network."""


def shards(series: int, size: int = SHARD_SERIES) -> Iterator[slice]:
    """The rows of some series in order, `size` at a time; the last shard may have fewer.

    >>> list(shards(5, 2))
    [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    for first in range(0, series, size):
        yield slice(first, min(first + size, series))
