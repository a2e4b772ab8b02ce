"""Work on blocks of series, one block on each core."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from threadpoolctl import ThreadpoolController

from models.cores import cores_to_use
from models.panel.panel import Panel

# The windows of so many series fit into a core's cache together; and the fewest series that are worth a thread.
BLOCK, SMALLEST_BLOCK = 256, 32

_linear_algebra = ThreadpoolController()
Answer = TypeVar("Answer")


def in_blocks(panel: Panel, work: Callable[[Panel, int], Answer], most_values: int | None = None) -> list[Answer]:
    """The results of some work on blocks of series, in the order of the series.

    Threads suffice, because NumPy releases Python's lock while it computes. Matrix products are small here: cores that
    shared one would wait for each other longer than they compute, so each product runs on one core.

    Args:
        panel: The series.
        work: Called with a block, and the row of its first series.
        most_values: About how many values a block may hold, where the work takes memory for each; a block has at least
            one series. None for no limit.
    """
    cores = cores_to_use()
    size = min(max(-(-len(panel) // cores), SMALLEST_BLOCK), BLOCK)
    if most_values is not None:
        size = max(1, min(size, most_values * len(panel) // max(len(panel.values), 1)))
    firsts = range(0, len(panel), size)

    def at(first: int) -> Answer:
        return work(panel.part(slice(first, first + size)), first)

    with _linear_algebra.limit(limits=1, user_api="blas"):
        if min(cores, len(firsts)) < 2:
            return [at(first) for first in firsts]
        with ThreadPoolExecutor(min(cores, len(firsts))) as threads:
            return list(threads.map(at, firsts))
