"""Work on blocks of series, every core on its own."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from threadpoolctl import ThreadpoolController

from models.cores import cores_to_use
from models.panel.panel import Panel

# Series whose windows lie in a core's cache together, and as few as are worth a thread of their own.
BLOCK, SMALLEST_BLOCK = 256, 32

_linear_algebra = ThreadpoolController()
Answer = TypeVar("Answer")


def in_blocks(panel: Panel, work: Callable[[Panel, int], Answer], most_values: int | None = None) -> list[Answer]:
    """What `work` makes of each block of series of a panel and the place of its first one, in their order.

    NumPy lets go of Python while it computes, so threads do. Matrix products are small here: cores that share each
    of them wait for one another longer than they compute.

    Args:
        panel: The series.
        work: Told a block, and the place of its first series.
        most_values: Of a block, where each value takes working space; about that many, one series at the least.
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
