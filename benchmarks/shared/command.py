"""The command `nightcast` in a process of its own, with its time and its memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
NIGHTCAST = [sys.executable, "-m", "flows.cli"]
BUSY = 0.5


def run_command(arguments: list[str]) -> tuple[dict[str, Any], float, float]:
    """Answer (where it is JSON), seconds and peak memory in MiB of the command, in a process of its own.

    Raises:
        RuntimeError: where the command fails; holds what it said.
    """
    with tempfile.TemporaryFile("w+") as answer, tempfile.TemporaryFile("w+") as said:
        began = time.perf_counter()
        process = subprocess.Popen([*NIGHTCAST, *arguments], cwd=ROOT, stdout=answer, stderr=said)
        # wait4 tells the memory of this one process; getrusage would give the largest of all so far.
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        answer.seek(0)
        said.seek(0)
        if process.returncode:
            words = said.read()[-2000:]
            raise RuntimeError(f"nightcast {' '.join(arguments)} ended with {process.returncode}: {words}")
        # Linux counts in KiB.
        return json.loads(answer.read()) if "--json" in arguments else {}, seconds, usage.ru_maxrss / 1024
