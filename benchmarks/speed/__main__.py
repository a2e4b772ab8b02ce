"""Seconds and rows per second of each stage of a night, its peak memory, and the start of the command.

    python -m benchmarks.speed [--series 2000] [--days 730] [--train-seconds 30] [--peers [--data DIR]]

Two nights of a simulated source on SQLite, each in a process of its own as a scheduler would run it. The first night
trains; the second one, four weeks later, loads the champion and scores the first. TensorFlow starts inside the stage
that first needs it: `fit` of the first night, `predict` of the second.

With `--peers`, also training and forecasting beside neuralforecast; `speed/beside.py` says how.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from benchmarks.shared.command import load_at_start
from benchmarks.shared.data_sets import DATA_SETS, FOLDER, LARGE_SETS
from benchmarks.shared.record import command_line, record_and_print
from benchmarks.shared.simulated_history import HISTORY, HORIZON
from benchmarks.speed import beside
from benchmarks.speed.nights import measure_nights


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=int, default=2000)
    parser.add_argument("--days", type=int, default=730)
    parser.add_argument("--train-seconds", type=float, default=30.0)
    parser.add_argument("--peers", action="store_true", help="also neuralforecast; the first time installs it")
    parser.add_argument("--data", type=Path, default=FOLDER, help="folder of the data sets")
    parser.add_argument(
        "--peer-sets", nargs="+", choices=[each.name for each in LARGE_SETS], default=["tourism_monthly"]
    )
    parser.add_argument("--peer-rounds", type=int, default=3, help="how often each product runs")
    parser.add_argument("--equal-steps", type=int, default=125, help="training steps with the equal network")
    parser.add_argument("--peer-steps", type=int, help="an upper limit of neuralforecast's steps, to try things out")
    given = parser.parse_args()
    figures: dict[str, float | None] = {"load_at_start": load_at_start()}
    with tempfile.TemporaryDirectory() as folder:
        figures |= measure_nights(Path(folder), given.series, given.days, given.train_seconds)
        if given.peers:
            figures |= measure_beside(Path(folder), given)
    record_and_print("speed", figures, command_line("speed", sys.argv[1:]))


def measure_beside(folder: Path, given: argparse.Namespace) -> dict[str, float | None]:
    """The figures of `beside` on the nights' source in `folder` and on the data sets; the lowest ratio counts."""
    figures = beside.equal(folder, given.peer_rounds, given.equal_steps)
    figures |= beside.default_forecasts(folder / HISTORY, "D", HORIZON, given.peer_rounds)
    for data_set in (DATA_SETS[name] for name in given.peer_sets):
        history = given.data / data_set.name / "history.parquet"
        rates = beside.default_forecasts(history, data_set.frequency, data_set.horizon, given.peer_rounds)
        figures |= beside.prefixed(data_set, rates)
        figures |= beside.time_to_better(data_set, given.data / data_set.name, given.peer_steps)
    return figures | {"time_to_better_ratio": beside.worst(figures, "time_to_better_ratio")}


if __name__ == "__main__":
    main()
