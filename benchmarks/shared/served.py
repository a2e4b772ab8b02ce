"""`nightcast serve` for one job, with its worker, on a free port."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

OVER = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}
"""States in which a run has ended."""


@dataclass(frozen=True)
class Served:
    """A running `nightcast serve`.

    Attributes:
        api: Address of the API.
        home: Folder of the server's own files.
    """

    api: str
    home: Path

    def ask(self, path: str, body: dict[str, Any]) -> Any:
        """The answer of the server; one that is busy says 503, and is asked again."""
        for _ in range(60):
            answer = httpx.post(f"{self.api}/{path}", json=body, timeout=30)
            if answer.status_code != 503:
                break
            time.sleep(1)
        answer.raise_for_status()
        return answer.json()

    def start_night(self, job: str, cutoff: str) -> str:
        """Ask the deployment `nightly` for a night; gives the id of the run."""
        [deployment] = self.ask("deployments/filter", {"deployments": {"name": {"any_": ["nightly"]}}})
        run = {"parameters": {"job": job, "cutoff": cutoff}}
        return str(self.ask(f"deployments/{deployment['id']}/create_flow_run", run)["id"])

    def wait_for(self, run: str, states: Collection[str], seconds: float = 180) -> str:
        """Wait until a run is in one of these states; gives it."""

        def state() -> str:
            found: str = httpx.get(f"{self.api}/flow_runs/{run}", timeout=30).json()["state"]["type"]
            return found if found in states else ""

        return str(wait_until(state, seconds))

    def processes(self) -> dict[int, str]:
        """The processes that were started for it, by it or by those, and their command lines."""
        mark, found = f"PREFECT_HOME={self.home}".encode(), dict[int, str]()
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if mark in (folder / "environ").read_bytes().split(b"\0"):
                    found[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        return found

    def worker(self) -> int:
        """The process of the worker of the pool `cpu`."""
        return next(pid for pid, words in self.processes().items() if "worker start" in words and "--pool cpu" in words)


@contextmanager
def served(folder: Path, jobs: Path, environment: Mapping[str, str]) -> Iterator[Served]:
    """Start `nightcast serve` for a jobs folder with one job; all its processes end with the block.

    Args:
        folder: A new folder for what the server and Prefect leave.
        jobs: The jobs folder.
        environment: What the server, its worker and its runs see.

    Raises:
        RuntimeError: it does not start; ends with what it said.
    """
    folder.mkdir(parents=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    found = Served(f"http://127.0.0.1:{port}/api", folder / "prefect")
    passing = folder / "passing"
    passing.mkdir()
    given = {"PREFECT_HOME": str(found.home), "NIGHTCAST_JOBS": str(jobs), "TMPDIR": str(passing)}
    command, log = [sys.executable, "-m", "flows.start", "serve", "--port", str(port)], folder / "serve.log"
    with log.open("wb") as out:
        serve = subprocess.Popen(
            command, cwd=folder, env={**environment, **given}, stdout=out, stderr=out, start_new_session=True
        )
    try:
        wait_until(lambda: "Ctrl-C stops it" in log.read_text(encoding="utf-8") or serve.poll() is not None, 300)
        if serve.poll() is not None:
            raise RuntimeError(f"`serve` ended with {serve.returncode}: {log.read_text(encoding='utf-8')[-3000:]}")
        yield found
    finally:
        serve.send_signal(signal.SIGTERM)
        serve.wait(60)
        for pid in found.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def wait_until(ready: Callable[[], Any], seconds: float) -> Any:
    """What `ready` gives as soon as it is something.

    Raises:
        TimeoutError: it is not in time.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with suppress(httpx.HTTPError):
            if found := ready():
                return found
        time.sleep(0.1)
    raise TimeoutError(f"nothing within {seconds:g} s")
