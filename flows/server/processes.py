"""Processes that others started: who they are, and how to end them."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

_PROC = Path("/proc")
KILLED_WITHIN = 5.0
"""Seconds until the system has taken away a process that was killed, at the most."""


def children(parents: Iterable[int]) -> set[int]:
    """Processes that were started by these."""
    known = set(parents)
    return {pid for pid, parent in _parents().items() if parent in known}


def descendants(roots: Iterable[int]) -> set[int]:
    """Processes that were started by these, or by such as they started; without themselves."""
    found, parents = set(roots), _parents()
    roots = set(found)
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found - roots


def end(pids: Iterable[int], patience: float) -> None:
    """Ask processes to end, once, and kill those that have not done so after some seconds."""
    pids = set(pids)
    _send(pids, signal.SIGTERM)
    _send(_left_after(pids, patience, every=0.2), signal.SIGKILL)
    # Nothing outlives that, but on a busy machine a moment may pass.
    _left_after(pids, KILLED_WITHIN, every=0.01)


def _left_after(pids: set[int], patience: float, every: float) -> set[int]:
    """Those that run still after some seconds; nobody is waited for who has ended."""
    deadline = time.monotonic() + patience
    while (left := pids & _parents().keys()) and time.monotonic() < deadline:
        time.sleep(every)
    return left


def _send(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def _parents() -> dict[int, int]:
    """The parent of every process that runs; one that has ended and that nobody asked after does not."""
    if _PROC.joinpath("self/stat").exists():
        found = [each for stat in _PROC.glob("[0-9]*/stat") if (each := _of_stat(stat))]
    else:
        listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid=,stat="], capture_output=True, text=True, check=True)
        found = [(int(pid), int(parent), state) for pid, parent, state in map(str.split, listed.stdout.splitlines())]
    return {pid: parent for pid, parent, state in found if not state.startswith("Z")}


def _of_stat(file: Path) -> tuple[int, int, str] | None:
    try:
        # The command's name stands in brackets, and may hold some itself.
        state, parent, *_ = file.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except (OSError, ValueError):
        return None  # it has ended meanwhile
    return int(file.parent.name), int(parent), state
