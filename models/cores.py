"""How many cores to compute on."""

from __future__ import annotations

import os

CORES = "NIGHTCAST_CORES"


def available_cores() -> int:
    """The cores that this process may use."""
    # Only Linux can limit a process to some of the cores.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cores_to_use() -> int:
    """All of them, or the number in NIGHTCAST_CORES, with which several processes share the cores."""
    return int(os.environ.get(CORES, 0)) or available_cores()
