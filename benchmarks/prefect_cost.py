"""Seconds and memory that a night costs more under a Prefect server, and that training in its own process costs more.

    python benchmarks/prefect_cost.py [--series 1000] [--days 400] [--rounds 3]

The same night of a made-up source on SQLite, as the plain functions and as a flow of a server that runs here, in turns,
each in a process of its own; no network is trained, which would take the same time twice. Then a night that trains
five steps, in a process of its own and in the night's. Figures are the medians over the rounds.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pyarrow.parquet as pq
from record import asked, record
from speed import HISTORY, ROOT, make_history

JOB = """
name: {name}
source: {{url: sqlite:///{folder}/source.db, table: observations}}
forecast: {{frequency: D, horizon: 28, min_history: {min_history}}}
training: {{max_steps: 5, policy: scratch}}
"""
NIGHT = "from flows.cli import main; main()"
IN_THIS_PROCESS = "import tasks.fit_model as f; from tasks.training.train import train; f.train_apart = train; "


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=int, default=1000)
    parser.add_argument("--days", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(Path(folder), given.series, given.days, given.rounds)
    for name, value in figures.items():
        print(f"{name:<40}{value:>14,.2f}")
    print(f"Kept in {os.path.relpath(record('prefect_cost', figures, asked('prefect_cost', sys.argv[1:])))}")


def measure(folder: Path, series: int, days: int, rounds: int) -> dict[str, float]:
    """Run the nights of every round in an empty folder; figure to value, names end in their unit."""
    pq.write_table(make_history(series, days), folder / HISTORY)
    target = f"sqlite:///{folder}/source.db"
    run([sys.executable, "-m", "flows.cli", "import", str(folder / HISTORY), "--to", target, "--table", "observations"])
    measured: dict[str, list[tuple[float, float]]] = {}
    with server(folder) as api:
        for number in range(rounds):
            untrained = {"min_history": days + 1}
            plain = night(folder, f"plain-{number}", untrained)
            flow = night(folder, f"flow-{number}", untrained, PREFECT_API_URL=api, **home(folder))
            measured.setdefault("plain", []).append(plain)
            measured.setdefault("flow", []).append(flow)
        time.sleep(5)  # a server writes task runs down a little later
        tasks = httpx.post(f"{api}/task_runs/count", json={}, timeout=30).raise_for_status().json()
    for number in range(rounds):
        trained = {"min_history": 1}
        measured.setdefault("apart", []).append(night(folder, f"apart-{number}", trained))
        measured.setdefault("inside", []).append(night(folder, f"inside-{number}", trained, IN_THIS_PROCESS))
    seconds = {name: statistics.median(each for each, _ in pairs) for name, pairs in measured.items()}
    memory = {name: statistics.median(each for _, each in pairs) for name, pairs in measured.items()}
    return {
        "load_at_start": os.getloadavg()[0],
        "plain_seconds": seconds["plain"],
        "flow_seconds": seconds["flow"],
        "flow_costs_seconds": seconds["flow"] - seconds["plain"],
        "flow_costs_mib": memory["flow"] - memory["plain"],
        "task_runs": tasks / rounds,
        "inside_seconds": seconds["inside"],
        "own_process_costs_seconds": seconds["apart"] - seconds["inside"],
        "inside_peak_mib": memory["inside"],
        "own_process_night_peak_mib": memory["apart"],
    }


def night(
    folder: Path, name: str, settings: dict[str, int], before: str = "", **environment: str
) -> tuple[float, float]:
    """Seconds and peak memory in MiB of a first night's process, without that of processes that it starts."""
    job = folder / name / f"{name}.yaml"
    job.parent.mkdir()
    job.write_text(JOB.format(name=name, folder=folder, **settings), encoding="utf-8")
    return run([sys.executable, "-c", before + NIGHT, "run", str(job), "--json"], **environment)


def run(command: list[str], **environment: str) -> tuple[float, float]:
    """Seconds and peak memory in MiB of a command.

    Raises:
        RuntimeError: it fails; holds what it said.
    """
    with tempfile.TemporaryFile("w+") as said:
        began = time.perf_counter()
        process = subprocess.Popen(command, cwd=ROOT, env=os.environ | environment, stdout=said, stderr=said)
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except KeyboardInterrupt:
            process.kill()
            raise
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            raise RuntimeError(f"{' '.join(command[1:])} ended with {process.returncode}: {said.read()[-2000:]}")
        return seconds, usage.ru_maxrss / 1024  # Linux counts in KiB


@contextmanager
def server(folder: Path) -> Iterator[str]:
    """A Prefect server with nothing else, on a free port; gives the address of its API.

    Raises:
        RuntimeError: it does not come up within three minutes.
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
                raise RuntimeError(f"no Prefect server: {(folder / 'server.log').read_text()[-2000:]}")
            time.sleep(0.5)
        yield api
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)


def home(folder: Path) -> dict[str, str]:
    """What keeps Prefect's own files in the folder."""
    return {"PREFECT_HOME": str(folder / "prefect"), "DO_NOT_TRACK": "1"}


def is_healthy(api: str) -> bool:
    """Whether a server answers."""
    try:
        return httpx.get(f"{api}/health", timeout=2).status_code == 200
    except httpx.HTTPError:
        return False


if __name__ == "__main__":
    main()
