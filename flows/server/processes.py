"""Find and end the processes that other processes started."""

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
"""Seconds within which the system removes a process that was killed."""


def children(parents: Iterable[int]) -> set[int]:
    """The process ids of the processes that these ones started."""
    known = set(parents)
    return {pid for pid, parent in _parents().items() if parent in known}


def descendants(roots: Iterable[int]) -> set[int]:
    """The process ids of the processes that these ones started, and of those started by them in turn."""
    roots, parents = set(roots), _parents()
    found = set(roots)
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found - roots


def end(pids: Iterable[int], patience: float) -> None:
    """Send processes SIGTERM once, and kill those that still run after `patience` seconds."""
    pids = set(pids)
    _send(pids, signal.SIGTERM)
    _send(_left_after(pids, patience, every=0.2), signal.SIGKILL)
    # On a busy machine a killed process may take a moment to disappear.
    _left_after(pids, KILLED_WITHIN, every=0.01)


def _left_after(pids: set[int], patience: float, every: float) -> set[int]:
    """The processes that still run after `patience` seconds; returns early once all have ended."""
    deadline = time.monotonic() + patience
    while (left := pids & _parents().keys()) and time.monotonic() < deadline:
        time.sleep(every)
    return left


def _send(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def _parents() -> dict[int, int]:
    """The parent of every running process. Zombies are left out: they have ended."""
    if _PROC.joinpath("self/stat").exists():
        found = [each for stat in _PROC.glob("[0-9]*/stat") if (each := _read_stat(stat))]
    else:
        listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid=,stat="], capture_output=True, text=True, check=True)
        found = [(int(pid), int(parent), state) for pid, parent, state in map(str.split, listed.stdout.splitlines())]
    return {pid: parent for pid, parent, state in found if not state.startswith("Z")}


def _read_stat(file: Path) -> tuple[int, int, str] | None:
    try:
        # The command's name is in brackets, and may contain brackets itself.
        state, parent, *_ = file.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except (OSError, ValueError):
        return None  # the process has ended meanwhile
    return int(file.parent.name), int(parent), state
