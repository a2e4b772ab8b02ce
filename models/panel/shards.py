"""A panel in shards: some series at a time, so that what is computed from them is never there for all at once."""

from __future__ import annotations

from collections.abc import Iterator

SHARD_SERIES = 4_096
"""Series of one shard where nobody says otherwise: two full batches of the network."""


def shards(series: int, size: int = SHARD_SERIES) -> Iterator[slice]:
    """The places of so many series, `size` at a time and in their order; the last ones may be fewer.

    >>> list(shards(5, 2))
    [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    for first in range(0, series, size):
        yield slice(first, min(first + size, series))
