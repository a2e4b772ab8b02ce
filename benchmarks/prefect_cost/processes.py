"""The processes that are measured, and the Prefect server beside them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from benchmarks.shared.command import ROOT


@dataclass(frozen=True)
class Spent:
    """Seconds, processor seconds and peak memory of a process."""

    seconds: float
    cpu_seconds: float
    peak_mib: float


def run(command: list[str], **environment: str) -> Spent:
    """Measure a command and the processes that it waits for; memory is that of the largest process.

    Raises:
        RuntimeError: the command fails; the message ends with its output.
    """
    with tempfile.TemporaryFile("w+") as output:
        began = time.perf_counter()
        process = subprocess.Popen(command, cwd=ROOT, env=os.environ | environment, stdout=output, stderr=output)
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except KeyboardInterrupt:
            process.kill()
            raise
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            output.seek(0)
            raise RuntimeError(f"{' '.join(command[1:])} ended with {process.returncode}: {output.read()[-2000:]}")
        return Spent(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)  # Linux counts in KiB


@contextmanager
def server(folder: Path) -> Iterator[str]:
    """A Prefect server on a free port; yields the address of its API.

    Raises:
        RuntimeError: it does not answer within three minutes.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    api = f"http://127.0.0.1:{port}/api"
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", port]
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=os.environ | home(folder), stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 180
        while not is_healthy(api):
            if time.monotonic() > deadline or process.poll() is not None:
                raise RuntimeError(f"The Prefect server did not start: {(folder / 'server.log').read_text()[-2000:]}")
            time.sleep(0.5)
        yield api
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)


def home(folder: Path) -> dict[str, str]:
    """Environment variables that keep Prefect's own files in the folder."""
    return {"PREFECT_HOME": str(folder / "prefect"), "DO_NOT_TRACK": "1"}


def is_healthy(api: str) -> bool:
    """Whether the server answers."""
    try:
        return httpx.get(f"{api}/health", timeout=2).status_code == 200
    except httpx.HTTPError:
        return False
