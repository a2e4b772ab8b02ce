"""The command `nightcast` in a process of its own, with its time and its memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[2]
NIGHTCAST = [sys.executable, "-m", "flows.start"]
BUSY = 0.5
"""A higher load average than this at the start makes figures unrepeatable."""


class Finished(NamedTuple):
    """What a command printed and used.

    Attributes:
        answer: Its JSON object; empty without `--json`.
        seconds: From the start of the process to its end.
        cpu_seconds: Processor seconds, also those of the processes that it waited for.
        peak_mib: The most memory it held.
    """

    answer: dict[str, Any]
    seconds: float
    cpu_seconds: float
    peak_mib: float


def load_at_start() -> float:
    """The load average of the last minute; warns if other programs keep the machine busy.

    A busy machine also spoils ratios: two threads that wait for each other lose more time to a third program than a
    single thread does.
    """
    load = os.getloadavg()[0]
    if load > BUSY:
        print(f"The machine is busy (load {load:.1f}); the figures are not repeatable.", file=sys.stderr, flush=True)
    return load


def run_command(arguments: list[str], root: Path = ROOT) -> Finished:
    """Run a verb of the command and measure it.

    Args:
        arguments: The verb and its arguments.
        root: The checkout whose code runs.

    Raises:
        RuntimeError: the command fails; the message ends with its output.
    """
    # Older commits begin elsewhere.
    nightcast = NIGHTCAST if (root / "flows/start.py").is_file() else [sys.executable, "-m", "flows.cli"]
    with tempfile.TemporaryFile("w+") as answer, tempfile.TemporaryFile("w+") as messages:
        began = time.perf_counter()
        process = subprocess.Popen([*nightcast, *arguments], cwd=root, stdout=answer, stderr=messages)
        # wait4 gives the memory of this one process; getrusage would give the largest of all children so far.
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        answer.seek(0)
        messages.seek(0)
        if process.returncode:
            output = messages.read()[-2000:]
            raise RuntimeError(f"nightcast {' '.join(arguments)} ended with {process.returncode}: {output}")
        # Linux counts in KiB.
        found = json.loads(answer.read()) if "--json" in arguments else {}
        return Finished(found, seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)
