"""How many cores there are to compute on."""

from __future__ import annotations

import os

CORES = "NIGHTCAST_CORES"


def available_cores() -> int:
    """The cores that this process may use."""
    # Only Linux knows which cores are this process's.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cores_to_use() -> int:
    """All of them, or as many as NIGHTCAST_CORES says: several processes can share them."""
    return int(os.environ.get(CORES, 0)) or available_cores()
