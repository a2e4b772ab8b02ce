"""Nights that are killed, or get a signal, while a network trains in a process of its own."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from benchmarks.faults.site import TRAINED
from benchmarks.faults.trial import Trial


def killed_while_training(trial: Trial) -> None:
    """The night, or the process that trains, is killed at a random moment of training; or the night gets a signal."""
    trial.begin(TRAINED)
    trial.plain = True
    night = trial.start("--train", "scratch")
    child = None
    while night.poll() is None and child is None:
        child = next((pid for pid in _session(night.pid) if pid != night.pid), None)
        time.sleep(0.01)
    time.sleep(trial.random.uniform(0, 12))
    whom = trial.random.choice(["SIGKILL", "SIGTERM", "SIGINT", "its child"])
    trial.how = f"{whom} while it trains"
    if whom != "its child":
        night.signal(getattr(signal, whom))
    elif child is not None and child in _session(night.pid):
        os.kill(child, signal.SIGKILL)
    trial.ended(night, settled=whom in ("SIGTERM", "SIGINT"))
    deadline = time.monotonic() + 10
    while _session(night.pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    left = _session(night.pid)
    trial.findings.add("left_over_files", len(left), f"processes of the night still run: {left}")
    trial.follow("--train", "never")


def _session(leader: int) -> list[int]:
    """The processes of a night that run."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
        except OSError:
            continue
        # State, then parent, group and session.
        if fields[3] == str(leader) and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return sorted(found)
