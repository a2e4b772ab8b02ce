"""Share a long computation over processes of this machine, one series at a time."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from typing import Any

from models.cores import available_cores

# Starting a worker takes about as long as AutoETS takes for this many values.
WORTH_A_WORKER = 20_000
SERIES_AT_ONCE = 4


def worker_count(values: int) -> int:
    """How many workers pay off for a computation over so many values: from 1 to the number of available cores."""
    return max(1, min(available_cores(), values // WORTH_A_WORKER))


@contextmanager
def spread_over(workers: int) -> Iterator[Any]:
    """A `map` that shares its calls over worker processes; for one worker the built-in `map`.

    Function, arguments and results are sent between processes, so all of them must be picklable.
    """
    if workers == 1:
        yield map
        return
    # Spawn the workers: a fork of a process with TensorFlow's threads may hang.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield partial(pool.map, chunksize=SERIES_AT_ONCE)
