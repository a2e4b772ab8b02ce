"""A warm process that forks nights: `python -m benchmarks.faults.zygote`, spoken to in lines of JSON.

`{"start": order}` is answered by the process id of a night, `{"poll": id}` by its wait status, or null while it runs.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.shared.command import ROOT

# What a night imports when it is needed. Nothing here starts a thread, or a fork might hang.
_WARM = (
    "flows.cli", "flows.deployments.dispatch", "flows.night.night", "flows.night.check", "flows.job.job", "tempfile",
    "uuid", "adbc_driver_manager.dbapi", "adbc_driver_sqlite.dbapi", "adbc_driver_postgresql.dbapi", "psycopg",
    "sqlalchemy.dialects.postgresql", "sqlalchemy.dialects.sqlite", "fsspec.implementations.local", "pyarrow.parquet",
    "pyarrow.dataset", "pandas", "httpx", "jinja2", "matplotlib.figure", "matplotlib.dates", "apprise",
    "matplotlib.backends.backend_svg", "alembic.command",
)  # fmt: skip


class Hung(Exception):
    """A night did not end in time."""


@dataclass
class Night:
    """A night that was started.

    Attributes:
        pid: Its process, which leads a session of its own.
        zygote: Who can tell how it ended.
        out: Folder of `stdout` and `stderr`.
    """

    pid: int
    zygote: Zygote
    out: Path
    _status: int | None = None

    def signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def poll(self) -> int | None:
        """Its exit code, negative for a signal; None while it runs."""
        if self._status is None:
            self._status = self.zygote.ask({"poll": self.pid})
        return None if self._status is None else os.waitstatus_to_exitcode(self._status)

    def wait(self, seconds: float = 120.0) -> int:
        """Its exit code, negative for a signal.

        Raises:
            Hung: it did not end in time; it is killed then.
        """
        deadline = time.monotonic() + seconds
        while (code := self.poll()) is None:
            if time.monotonic() > deadline:
                self.signal(signal.SIGKILL)
                raise Hung(f"The night did not end within {seconds:g} s. Its last words: {self.said[-400:]}")
            time.sleep(0.003)
        return code

    def wait_until_stopped(self, seconds: float = 60.0) -> bool:
        """Whether it has stopped itself; False where it ended before."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.poll() is not None:
                return False
            if Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] == "T":
                return True
            time.sleep(0.002)
        raise Hung(f"The night did not reach its point within {seconds:g} s.")

    @property
    def said(self) -> str:
        """Its standard output and standard error."""
        return "".join(
            (self.out / name).read_text(encoding="utf-8", errors="replace")
            for name in ("stdout", "stderr")
            if (self.out / name).exists()
        )


class Zygote:
    """The warm process, and the nights that it forks."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "benchmarks.faults.zygote"]
        pipe = subprocess.PIPE
        environment = os.environ | {"PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3", "OMP_NUM_THREADS": "1"}
        # Ctrl-C is for the campaign.
        self._process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdin=pipe, stdout=pipe, text=True, start_new_session=True
        )
        self._lock = threading.Lock()

    def start(self, order: Mapping[str, Any], out: Path) -> Night:
        """Fork a night, see `run_night_process`; its output goes into a folder."""
        out.mkdir(parents=True, exist_ok=True)
        files = {name: str(out / name) for name in ("stdout", "stderr")}
        return Night(self.ask({"start": {**order, **files}}), self, out)

    def ask(self, question: Mapping[str, Any]) -> Any:
        """One question and its answer."""
        with self._lock:
            assert self._process.stdin
            assert self._process.stdout
            self._process.stdin.write(json.dumps(question) + "\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"The warm process has ended with {self._process.wait()}.")
        return json.loads(answer)

    def close(self) -> None:
        """End it."""
        # Leaving it closes the pipes, which ends the process, and waits.
        with self._process:
            pass


def serve() -> dict[str, Any] | None:
    """Answer questions until there are no more; in a forked child, gives its order."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    for line in sys.stdin:
        question = json.loads(line)
        answer: int | None
        if "start" in question:
            # A signal that is sent to the night at once waits until the command handles it.
            before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
            answer = os.fork()
            if not answer:
                order: dict[str, Any] = question["start"]
                return order
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        else:
            pid, status = os.waitpid(question["poll"], os.WNOHANG)
            answer = status if pid else None
        print(json.dumps(answer), file=answers, flush=True)
    return None


def main() -> None:
    """Import what nights need, then serve."""
    for name in _WARM:
        importlib.import_module(name)
    # The collector of a fork need not touch, and so copy, what is here already.
    gc.collect()
    gc.freeze()
    order = serve()
    if order is not None:
        from benchmarks.faults.night_process import run_night_process

        run_night_process(order)


if __name__ == "__main__":
    main()
