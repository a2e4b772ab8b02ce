"""Seconds and memory that a Prefect server adds to a night, and that training in a process of its own adds.

    python -m benchmarks.prefect_cost [--series 1000] [--days 400] [--rounds 3] [--train-rounds 3]

One night of a simulated source on SQLite runs as plain functions and as a flow of a server that runs here, each in a
process of its own. It trains no network. `flow_costs_seconds` compares whole processes: a flow also imports Prefect and
sends its last events. `imported_flow_costs_seconds` compares the night alone, in processes that have both imported
Prefect. Then a night that trains for five steps runs with the training in a process of its own, and in the night's.

The two nights of a pair take turns, and each round begins with the other one. A first round does not count: it reads
files from disk, compiles imports and lets the server make its tables. A cost is the median over rounds of the
difference within a round. Processor seconds stay comparable on a busy machine.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import httpx
import pyarrow.parquet as pq

from benchmarks.prefect_cost.processes import Spent, home, run, server
from benchmarks.shared.record import command_line, record
from benchmarks.shared.simulated_history import HISTORY, make_history

JOB = """
name: {name}
source: {{url: sqlite:///{folder}/source.db, table: observations}}
forecast: {{frequency: D, horizon: 28, min_history: {min_history}}}
training: {{max_steps: 5, policy: scratch}}
"""
NIGHT = "from flows.start import main; main()"
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
    parser.add_argument("--train-rounds", type=int, default=3, help="rounds of the nights that train")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(Path(folder), given.series, given.days, given.rounds, given.train_rounds)
    for name, value in figures.items():
        print(f"{name:<40}{value:>14,.2f}")
    print(f"Kept in {os.path.relpath(record('prefect_cost', figures, command_line('prefect_cost', sys.argv[1:])))}")


def measure(folder: Path, series: int, days: int, rounds: int, train_rounds: int) -> dict[str, float]:
    """Run the nights of every round in an empty folder.

    Returns:
        Figure to value; a name ends in its unit.
    """
    # Processes share compiled modules, as they do wherever Python may write. Compiling took half of a night's time.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPYCACHEPREFIX"] = str(folder / "bytecode")
    pq.write_table(make_history(series, days), folder / HISTORY)
    target = f"sqlite:///{folder}/source.db"
    run(
        [
            sys.executable,
            "-m",
            "flows.start",
            "import",
            str(folder / HISTORY),
            "--to",
            target,
            "--table",
            "observations",
        ]
    )
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
        time.sleep(5)  # the server writes task runs with a delay
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
        "inside_peak_mib": statistics.median(each.peak_mib for each in inside),
        "own_process_night_peak_mib": statistics.median(each.peak_mib for each in apart),
    }


def in_turns(
    rounds: int, first: Callable[[str], Spent], second: Callable[[str], Spent]
) -> tuple[list[Spent], list[Spent]]:
    """Measure both in each round, after a round that does not count; every other round begins with the second."""
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
    """What the second takes more than the first: medians over rounds, and the extremes."""
    rounds = [*zip(without, with_it, strict=True)]
    differences = [more.seconds - less.seconds for less, more in rounds]
    return {
        f"{name}_costs_seconds": statistics.median(differences),
        f"{name}_costs_least_seconds": min(differences),
        f"{name}_costs_most_seconds": max(differences),
        f"{name}_costs_cpu_seconds": statistics.median(more.cpu_seconds - less.cpu_seconds for less, more in rounds),
        f"{name}_ratio": statistics.median(more.seconds / less.seconds for less, more in rounds),
        f"{name}_costs_mib": statistics.median(more.peak_mib - less.peak_mib for less, more in rounds),
    }


def night(folder: Path, name: str, settings: dict[str, int], before: str = "", **environment: str) -> Spent:
    """Measure a first night, from the start of its process to its end."""
    job = new_job(folder, name, settings)
    return run([sys.executable, "-c", before + NIGHT, "run", str(job), "--json"], **environment)


def imported_night(folder: Path, name: str, settings: dict[str, int], **environment: str) -> Spent:
    """Measure a first night after all imports; its seconds are those of the night alone."""
    job = new_job(folder, name, settings)
    spent = run([sys.executable, "-c", IMPORTED_NIGHT, str(job)], **environment)
    return replace(spent, seconds=float(job.with_name("seconds").read_text()))


def new_job(folder: Path, name: str, settings: dict[str, int]) -> Path:
    """The file of a job that has not run yet."""
    job = folder / name / f"{name}.yaml"
    job.parent.mkdir()
    job.write_text(JOB.format(name=name, folder=folder, **settings), encoding="utf-8")
    return job


if __name__ == "__main__":
    main()
