"""Seconds and rows a second of each stage of a night, its peak memory, and the command's start.

    python -m benchmarks.speed [--series 2000] [--days 730] [--train-seconds 30] [--peers [--data DIR]]

Two nights of a made-up source on SQLite, each in a process of its own as a scheduler would run
it: the first trains, the second, four weeks later, loads the champion and scores the first.
TensorFlow starts inside the stage that first needs it: `fit` of the first, `predict` of the second.

With `--peers`, training and forecasting beside neuralforecast too; see `beside`.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from benchmarks.shared.command import BUSY, ROOT, run_command
from benchmarks.shared.judge import SETS
from benchmarks.shared.record import asked, record
from benchmarks.shared.simulated_history import HISTORY, HORIZON, LAST_DAY, make_history
from benchmarks.speed import beside

JOB = """
name: speed
source: {{url: sqlite:///source.db, table: observations}}
forecast: {{frequency: D, horizon: {horizon}, lower_bound: 0}}
network: {{segment: 7, layers: [{{cell: gru, units: 128}}]}}
training: {{time_limit: {seconds}, seed: 0}}
"""
# Rows that a stage handles: of history, or of the forecast.
OF_HISTORY, OF_FORECAST = ("read", "audit"), ("predict", "publish", "score")
STARTS = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=int, default=2000)
    parser.add_argument("--days", type=int, default=730)
    parser.add_argument("--train-seconds", type=float, default=30.0)
    parser.add_argument("--peers", action="store_true", help="neuralforecast too; the first time installs it")
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data", help="folder of the sets")
    parser.add_argument("--peer-sets", nargs="+", choices=SETS, default=["tourism_monthly"])
    parser.add_argument("--peer-rounds", type=int, default=3, help="how often each product takes its turn")
    parser.add_argument("--equal-steps", type=int, default=125, help="training steps at the equal network")
    parser.add_argument("--peer-steps", type=int, help="a cap on neuralforecast's default training, to try things out")
    given = parser.parse_args()
    # Two threads that wait for each other lose far more to a third program than one that waits for nobody: ratios
    # from a busy machine say nothing, and this tells.
    load = os.getloadavg()[0]
    figures: dict[str, float | None] = {"load_at_start": load}
    if load > BUSY:
        print(f"The machine is busy (load {load:.1f}); figures will not repeat.", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory() as folder:
        figures |= measure(Path(folder), given.series, given.days, given.train_seconds)
        if given.peers:
            figures |= measure_beside(Path(folder), given)
    for name, value in figures.items():
        print(f"{name:<58}" + (f"{'-':>14}" if value is None else f"{value:>14,.2f}"))
    print(f"Kept in {os.path.relpath(record('speed', figures, asked('speed', sys.argv[1:])))}")


def measure(folder: Path, series: int, days: int, train_seconds: float) -> dict[str, float]:
    """Run both nights in a folder.

    Args:
        folder: Empty.
        series: Number of series of the source.
        days: Length of each.
        train_seconds: The job's `training.time_limit`.

    Returns:
        Figure to value; names end in their unit.
    """
    figures: dict[str, float] = {"help_seconds": min(run_command(["--help"])[1] for _ in range(STARTS))}
    history = folder / HISTORY
    pq.write_table(make_history(series, days), history)
    _, seconds, _ = run_command(
        ["import", str(history), "--to", f"sqlite:///{folder}/source.db", "--table", "observations"]
    )
    figures |= {
        "source_rows": series * days,
        "import_seconds": seconds,
        "import_rows_per_second": series * days / seconds,
    }
    job = folder / "speed.yaml"
    job.write_text(JOB.format(horizon=HORIZON, seconds=train_seconds), encoding="utf-8")

    first, wall, memory = run_command(["run", str(job), "--cutoff", str(LAST_DAY - timedelta(days=HORIZON)), "--json"])
    figures |= {
        "training_night_seconds": wall,
        "training_night_peak_mib": memory,
        "fit_seconds": first["seconds"]["fit"],
        "fit_steps_per_second": _training(first)["steps_per_second"],
    }
    second, wall, memory = run_command(["run", str(job), "--cutoff", str(LAST_DAY), "--train", "never", "--json"])
    figures |= {"night_seconds": wall, "night_peak_mib": memory}
    for stage, spent in second["seconds"].items():
        figures[f"{stage}_seconds"] = figures.get(f"{stage}_seconds", spent)
        rows = second["rows_read"] if stage in OF_HISTORY else second["rows"] if stage in OF_FORECAST else None
        if rows is not None and spent > 0:
            figures[f"{stage}_rows_per_second"] = rows / spent
    return figures


def measure_beside(folder: Path, given: argparse.Namespace) -> dict[str, float | None]:
    """The figures of `beside`, on the nights' own source in `folder` and on sets; of these, the lowest ratio counts."""
    figures = beside.equal(folder, given.peer_rounds, given.equal_steps)
    figures |= beside.default_forecasts(folder / HISTORY, "D", HORIZON, given.peer_rounds)
    for this in (SETS[name] for name in given.peer_sets):
        history = given.data / this.name / "history.parquet"
        rates = beside.default_forecasts(history, this.frequency, this.horizon, given.peer_rounds)
        figures |= beside.of_set(this, rates)
        figures |= beside.time_to_better(this, given.data / this.name, given.peer_steps)
    return figures | {"time_to_better_ratio": beside.worst(figures, "time_to_better_ratio")}


def _training(summary: dict[str, Any]) -> dict[str, Any]:
    details = Path(summary["report"]).with_suffix(".json")
    training: dict[str, Any] = json.loads(details.read_text(encoding="utf-8"))["training"]
    return training


if __name__ == "__main__":
    main()
