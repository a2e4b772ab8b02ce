"""Processes of this machine that share a long computation, one series at a time."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from typing import Any

from models.cores import available_cores

# A worker takes about as long to import its libraries as AutoETS takes for so many values.
WORTH_A_WORKER = 20_000
SERIES_AT_ONCE = 4


def worker_count(values: int) -> int:
    """How many workers a computation over so many values is worth: 1 to the cores that this process may use."""
    return max(1, min(available_cores(), values // WORTH_A_WORKER))


@contextmanager
def spread_over(workers: int) -> Iterator[Any]:
    """A `map` whose calls are shared out to worker processes; the built-in one where there is one worker.

    Function, arguments and results travel between processes, so all must be picklable.
    """
    if workers == 1:
        yield map
        return
    # Spawned, since a fork of a process in which TensorFlow's threads run may hang.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield partial(pool.map, chunksize=SERIES_AT_ONCE)
