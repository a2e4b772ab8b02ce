"""Work on blocks of series, every core on its own."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from threadpoolctl import ThreadpoolController

from models.cores import cores_to_use
from models.panel import Panel

# Series whose windows lie in a core's cache together, and as few as are worth a thread of their own.
BLOCK, SMALLEST_BLOCK = 256, 32

_linear_algebra = ThreadpoolController()
Answer = TypeVar("Answer")


def in_blocks(panel: Panel, work: Callable[[Panel, int], Answer]) -> list[Answer]:
    """What `work` makes of each block of series of a panel and the place of its first one, in their order.

    NumPy lets go of Python while it computes, so threads do. Matrix products are small here: cores that share each
    of them wait for one another longer than they compute.
    """
    cores = cores_to_use()
    size = min(max(-(-len(panel) // cores), SMALLEST_BLOCK), BLOCK)
    firsts = range(0, len(panel), size)

    def at(first: int) -> Answer:
        return work(panel.part(slice(first, first + size)), first)

    with _linear_algebra.limit(limits=1, user_api="blas"):
        if min(cores, len(firsts)) < 2:
            return [at(first) for first in firsts]
        with ThreadPoolExecutor(min(cores, len(firsts))) as threads:
            return list(threads.map(at, firsts))
