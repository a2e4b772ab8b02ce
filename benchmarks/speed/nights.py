"""Two nights of a simulated source on SQLite, each in a process of its own as a scheduler would run it."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from benchmarks.shared.command import run_command
from benchmarks.shared.simulated_history import HISTORY, HORIZON, LAST_DAY, make_history

JOB = """
name: speed
source: {{url: sqlite:///source.db, table: observations}}
forecast: {{frequency: D, horizon: {horizon}, lower_bound: 0}}
network: {{segment: 7, layers: [{{cell: gru, units: 128}}]}}
training: {{time_limit: {seconds}, seed: 0}}
"""
READS_HISTORY, READS_FORECAST = ("read", "audit"), ("predict", "publish", "score")
"""Stages by the rows that their rate counts."""
STARTS = 5


def measure_nights(folder: Path, series: int, days: int, train_seconds: float) -> dict[str, float]:
    """Measure the command's start, the import of the source, and both nights.

    Args:
        folder: An empty folder.
        series: Number of series of the source.
        days: Length of each.
        train_seconds: The job's `training.time_limit`.

    Returns:
        Figure to value; a name ends in its unit.
    """
    figures: dict[str, float] = {"help_seconds": min(run_command(["--help"]).seconds for _ in range(STARTS))}
    history = folder / HISTORY
    pq.write_table(make_history(series, days), history)
    source = ["--to", f"sqlite:///{folder}/source.db", "--table", "observations"]
    imported = run_command(["import", str(history), *source])
    figures |= {
        "source_rows": series * days,
        "import_seconds": imported.seconds,
        "import_rows_per_second": series * days / imported.seconds,
    }
    job = folder / "speed.yaml"
    job.write_text(JOB.format(horizon=HORIZON, seconds=train_seconds), encoding="utf-8")
    trained = run_command(["run", str(job), "--cutoff", str(LAST_DAY - timedelta(days=HORIZON)), "--json"])
    figures |= {
        "training_night_seconds": trained.seconds,
        "training_night_peak_mib": trained.peak_mib,
        "fit_seconds": trained.answer["seconds"]["fit"],
        "fit_steps_per_second": _training(trained.answer)["steps_per_second"],
    }
    night = run_command(["run", str(job), "--cutoff", str(LAST_DAY), "--train", "never", "--json"])
    figures |= {"night_seconds": night.seconds, "night_peak_mib": night.peak_mib}
    return figures | _stages(night.answer, figures)


def _stages(night: dict[str, Any], figures: dict[str, float]) -> dict[str, float]:
    """Seconds of each stage unless they are known already, and rows per second."""
    found = {}
    for stage, spent in night["seconds"].items():
        found[f"{stage}_seconds"] = figures.get(f"{stage}_seconds", spent)
        rows = night["rows_read"] if stage in READS_HISTORY else night["rows"] if stage in READS_FORECAST else None
        if rows is not None and spent > 0:
            found[f"{stage}_rows_per_second"] = rows / spent
    return found


def _training(night: dict[str, Any]) -> dict[str, Any]:
    details = Path(night["report"]).with_suffix(".json")
    training: dict[str, Any] = json.loads(details.read_text(encoding="utf-8"))["training"]
    return training
