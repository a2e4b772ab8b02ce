"""Seconds and memory that a night costs more under a Prefect server, and that training in its own process costs more.

    python -m benchmarks.prefect_cost [--series 1000] [--days 400] [--rounds 3] [--train-rounds 3]

The same night of a made-up source on SQLite, as the plain functions and as a flow of a server that runs here, each in a
process of its own; no network is trained, which would take the same time twice. `flow_costs_seconds` is of the whole
process, from its start to its end: a flow has Prefect to import and its last events to send.
`imported_flow_costs_seconds` is of the night alone, in processes that have imported Prefect, both of them. Then a night
that trains five steps, in a process of its own and in the night's.

The two of a pair take turns, and each round begins with the other one. A round before them, which is not counted, reads
all files from the disk, compiles what is imported and lets the server make its tables. What something costs is the
median over the rounds of the difference within a round; processor seconds say it also where the machine is busy
otherwise.
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
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import pyarrow.parquet as pq

from benchmarks.shared.command import ROOT
from benchmarks.shared.record import asked, record
from benchmarks.shared.simulated_history import HISTORY, make_history

JOB = """
name: {name}
source: {{url: sqlite:///{folder}/source.db, table: observations}}
forecast: {{frequency: D, horizon: 28, min_history: {min_history}}}
training: {{max_steps: 5, policy: scratch}}
"""
NIGHT = "from flows.cli import main; main()"
IMPORTED_NIGHT = """
import sys, time
import flows.deployments.dispatch, flows.deployments.nightly
from pathlib import Path

began = time.perf_counter()
flows.deployments.dispatch.run_night(sys.argv[1])
Path(sys.argv[1]).with_name("seconds").write_text(str(time.perf_counter() - began))
"""
IN_THIS_PROCESS = (
    "import tasks.training.fit_model as f; from tasks.training.train import train; f.train_apart = train; "
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=int, default=1000)
    parser.add_argument("--days", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--train-rounds", type=int, default=3, help="of the nights that train, which take longer")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(Path(folder), given.series, given.days, given.rounds, given.train_rounds)
    for name, value in figures.items():
        print(f"{name:<40}{value:>14,.2f}")
    print(f"Kept in {os.path.relpath(record('prefect_cost', figures, asked('prefect_cost', sys.argv[1:])))}")


@dataclass(frozen=True)
class Spent:
    """What a process took: seconds, processor seconds, and peak memory in MiB."""

    seconds: float
    cpu_seconds: float
    mib: float


def measure(folder: Path, series: int, days: int, rounds: int, train_rounds: int) -> dict[str, float]:
    """Run the nights of every round in an empty folder; figure to value, names end in their unit."""
    # As wherever Python may write beside its modules: what a first start compiles is there for the next ones. Where it
    # may not, each process compiles all that it imports, which took half of its time.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPYCACHEPREFIX"] = str(folder / "bytecode")
    pq.write_table(make_history(series, days), folder / HISTORY)
    target = f"sqlite:///{folder}/source.db"
    run([sys.executable, "-m", "flows.cli", "import", str(folder / HISTORY), "--to", target, "--table", "observations"])
    load = os.getloadavg()[0]
    untrained, trained = {"min_history": days + 1}, {"min_history": 1}
    with server(folder) as api:
        prefect = {"PREFECT_API_URL": api, **home(folder)}
        plain, flow = in_turns(
            rounds,
            lambda name: night(folder, f"plain-{name}", untrained),
            lambda name: night(folder, f"flow-{name}", untrained, **prefect),
        )
        imported_plain, imported_flow = in_turns(
            rounds,
            lambda name: imported_night(folder, f"imported-plain-{name}", untrained),
            lambda name: imported_night(folder, f"imported-flow-{name}", untrained, **prefect),
        )
        time.sleep(5)  # a server writes task runs down a little later
        tasks = httpx.post(f"{api}/task_runs/count", json={}, timeout=30).raise_for_status().json()
    inside, apart = in_turns(
        train_rounds,
        lambda name: night(folder, f"inside-{name}", trained, IN_THIS_PROCESS),
        lambda name: night(folder, f"apart-{name}", trained),
    )
    return {
        "load_at_start": load,
        "rounds": rounds,
        "train_rounds": train_rounds,
        "plain_seconds": statistics.median(each.seconds for each in plain),
        "flow_seconds": statistics.median(each.seconds for each in flow),
        **costs("flow", plain, flow),
        **costs("imported_flow", imported_plain, imported_flow),
        "task_runs": tasks / (2 * (rounds + 1)),
        "inside_seconds": statistics.median(each.seconds for each in inside),
        "apart_seconds": statistics.median(each.seconds for each in apart),
        **costs("own_process", inside, apart),
        "inside_peak_mib": statistics.median(each.mib for each in inside),
        "own_process_night_peak_mib": statistics.median(each.mib for each in apart),
    }


def in_turns(
    rounds: int, first: Callable[[str], Spent], second: Callable[[str], Spent]
) -> tuple[list[Spent], list[Spent]]:
    """Both in each round, after one that does not count; every other round begins with the second."""
    kept: tuple[list[Spent], list[Spent]] = [], []
    for number in range(-1, rounds):
        name = "warm-up" if number < 0 else str(number)
        pair = [(first, kept[0]), (second, kept[1])]
        for measured, into in pair if number % 2 else reversed(pair):
            spent = measured(name)
            if number >= 0:
                into.append(spent)
    return kept


def costs(name: str, without: Sequence[Spent], with_it: Sequence[Spent]) -> dict[str, float]:
    """What one thing takes more than another, of the medians over rounds."""
    rounds = [*zip(without, with_it, strict=True)]
    differences = [more.seconds - less.seconds for less, more in rounds]
    return {
        f"{name}_costs_seconds": statistics.median(differences),
        f"{name}_costs_least_seconds": min(differences),
        f"{name}_costs_most_seconds": max(differences),
        f"{name}_costs_cpu_seconds": statistics.median(more.cpu_seconds - less.cpu_seconds for less, more in rounds),
        f"{name}_ratio": statistics.median(more.seconds / less.seconds for less, more in rounds),
        f"{name}_costs_mib": statistics.median(more.mib - less.mib for less, more in rounds),
    }


def night(folder: Path, name: str, settings: dict[str, int], before: str = "", **environment: str) -> Spent:
    """What a first night takes, from the start of its process to its end."""
    job = new_job(folder, name, settings)
    return run([sys.executable, "-c", before + NIGHT, "run", str(job), "--json"], **environment)


def imported_night(folder: Path, name: str, settings: dict[str, int], **environment: str) -> Spent:
    """What a first night takes once everything is imported; its seconds are of the night alone."""
    job = new_job(folder, name, settings)
    spent = run([sys.executable, "-c", IMPORTED_NIGHT, str(job)], **environment)
    return replace(spent, seconds=float(job.with_name("seconds").read_text()))


def new_job(folder: Path, name: str, settings: dict[str, int]) -> Path:
    """The file of a job that has run no night."""
    job = folder / name / f"{name}.yaml"
    job.parent.mkdir()
    job.write_text(JOB.format(name=name, folder=folder, **settings), encoding="utf-8")
    return job


def run(command: list[str], **environment: str) -> Spent:
    """What a command takes, with those that it starts and waits for; memory is that of the largest one.

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
        return Spent(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)  # Linux counts in KiB


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
