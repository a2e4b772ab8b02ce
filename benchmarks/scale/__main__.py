"""How the cost of a night grows with its size, and how near reading and writing come to the databases' own limits.

    python -m benchmarks.scale [--series 1000 10000] [--days 730] [--hourly 0] [--kinds sqlite postgresql] [--peers]

Daily series of two years and, with `--hourly`, hourly ones of a year. For each database and size: a made-up source;
one night that trains for a few steps, and one a horizon later that only forecasts, each in a process of its own as a
scheduler would run it. Beside it, on the same rows, in turn and each in a fresh process: a bare ADBC fetch and the
night's own read, which also checks, encodes and keeps them; a bare ADBC ingest into a table without an index and the
night's own indexed, atomic publish. Of each the fastest round counts.

With `--peers`, what a team would write beside it on the smallest size in SQLite: pandas reads the same rows, a
trained neuralforecast LSTM forecasts them, pandas writes the forecasts; `script_over_night` is its seconds over those
of the night's stages from the query to the published rows. Neither counts imports.

Figures carry `<database>.<series>.` before them, `<database>.hourly_<series>.` for hourly ones. Without it are those
that others read: the worst of all databases at the largest daily size. `cost_exponent` is the slope of log(seconds of
all stages) over log(series) of the night that forecasts; `memory_over_panel` is (the higher peak of the two nights -
1.5 GB, TensorFlow's own) over the bytes of the float32 panel of the whole history, which only the night that trains
reads, so it may be negative where the panel is small.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.scale.databases import databases
from benchmarks.scale.simulated_source import Made
from benchmarks.scale.timed_work import (
    alone,
    fetch,
    ingest_file,
    ingest_history,
    keep_forecast,
    publish_file,
    read_rows,
)
from benchmarks.shared.command import BUSY, run_command
from benchmarks.shared.judge import LEVELS
from benchmarks.shared.peers import prepared, surroundings
from benchmarks.shared.record import asked, record
from benchmarks.shared.simulated_history import HORIZON
from sql.engine.connection import connect, resolve_url
from sql.migrations.migrate import migrate

KINDS = ("sqlite", "postgresql")
TENSORFLOWS_OWN = 1.5e9
# From the query to the published rows.
STAGES = ("read", "audit", "decide", "fit", "predict", "publish")
JOB = """
name: scale
source: {{url: "{source}", table: observations}}
forecast: {{frequency: {step}, horizon: {horizon}, lower_bound: 0}}
network: {{segment: {segment}, layers: [{{cell: gru, units: 128}}]}}
training: {{max_steps: 20, time_limit: 300, seed: 0}}
output: {{url: "{output}"}}
"""
# The higher the worse; at the largest size.
WORST = ("read_over_adbc", "write_over_adbc", "memory_over_panel")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=int, nargs="+", default=[1_000, 10_000])
    parser.add_argument("--days", type=int, default=730)
    parser.add_argument("--hourly", type=int, default=0, help="hourly series of a year, 0 for none")
    parser.add_argument("--peers", action="store_true", help="neuralforecast in a script; the first time installs it")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--rounds", type=int, default=3, help="how often each of a pair takes its turn")
    given = parser.parse_args()
    load = os.getloadavg()[0]
    figures: dict[str, float | None] = {"load_at_start": load}
    if load > BUSY:
        print(
            f"The machine is busy (load {load:.1f}); ratios may be off, seconds will be.", file=sys.stderr, flush=True
        )
    sizes = sorted(given.series)
    made = [Made(str(series), series, given.days) for series in sizes]
    made += [Made(f"hourly_{given.hourly}", given.hourly, 365 * 24, "h", 48, 24)] * (given.hourly > 0)
    for kind in given.kinds:
        for this in made:
            print(f"{kind}, {this.name} series", file=sys.stderr, flush=True)
            with tempfile.TemporaryDirectory() as folder, databases(kind, Path(folder)) as make_url:
                found = measure(Path(folder), make_url, this, given.rounds)
                if given.peers and kind == "sqlite" and this is made[0]:
                    figures |= beside_a_script(Path(folder), found)
            figures |= {f"{kind}.{this.name}.{name}": value for name, value in found.items()}
            # A run takes hours: what was found before it was cut off is not lost.
            print(f"{kind}, {this.name} series: {json.dumps(found)}", file=sys.stderr, flush=True)
        if len(sizes) > 1:
            seconds = [float(figures[f"{kind}.{series}.stages_seconds"] or 0) for series in sizes]
            figures[f"{kind}.cost_exponent"] = float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])
    for name in WORST:
        figures[name] = max(float(figures[f"{kind}.{sizes[-1]}.{name}"] or 0) for kind in given.kinds)
    exponents = [value for kind in given.kinds if (value := figures.get(f"{kind}.cost_exponent")) is not None]
    figures["cost_exponent"] = max(exponents, default=None)
    for name, value in figures.items():
        print(f"{name:<58}" + (f"{'-':>14}" if value is None else f"{value:>14,.2f}"))
    print(f"Kept in {os.path.relpath(record('scale', figures, asked('scale', sys.argv[1:])))}")


def measure(folder: Path, make_url: Callable[[str], str], this: Made, rounds: int) -> dict[str, float]:
    """Both nights, and both pairs of one size.

    Returns:
        Figure to value; names end in their unit, ratios have none.
    """
    source, output = make_url("source"), make_url("output")
    # Elsewhere too: a process begins with the peak memory of the one that started it.
    alone(ingest_history, source, this)
    job = folder / "scale.yaml"
    settings = {"step": this.step, "horizon": this.horizon, "segment": this.segment}
    job.write_text(JOB.format(source=source, output=output, **settings), encoding="utf-8")
    earlier = (this.cutoff - this.horizon * this.length).isoformat()
    trained, training_wall, training_peak = run_command(["run", str(job), "--cutoff", earlier, "--json"])
    night, wall, peak = run_command(
        ["run", str(job), "--cutoff", this.cutoff.isoformat(), "--train", "never", "--json"]
    )
    figures = {f"{stage}_seconds": float(seconds) for stage, seconds in night["seconds"].items()}
    figures |= {
        "rows": float(night["rows_read"]),
        "rows_of_the_training_night": float(trained["rows_read"]),
        "stages_seconds": sum(figures.values()),
        "night_seconds": wall,
        "night_peak_mib": peak,
        "training_night_seconds": training_wall,
        "training_night_peak_mib": training_peak,
        "memory_over_panel": (max(peak, training_peak) * 2**20 - TENSORFLOWS_OWN) / (4 * this.series * this.steps),
    }
    kept = folder / "observations.arrow"
    read = in_turn(rounds, {"adbc": (fetch, (source,)), "read": (read_rows, (source, kept))})
    figures |= {
        "adbc_fetch_seconds": read["adbc"][0],
        "own_read_seconds": read["read"][0],
        "own_read_peak_mib": read["read"][1],
        "read_over_adbc": read["read"][0] / read["adbc"][0],
    }
    forecast = folder / "forecast.arrow"
    alone(keep_forecast, output, forecast, this.cutoff)
    targets = {name: [make_url(f"{name}_{turn}") for turn in range(rounds)] for name in ("adbc", "publish")}
    for url in targets["publish"]:
        migrate(connect(resolve_url(url)))
    write: dict[str, float] = dict.fromkeys(targets, math.inf)
    for turn in range(rounds):
        for name, work in (("adbc", ingest_file), ("publish", publish_file)):
            write[name] = min(write[name], alone(work, targets[name][turn], forecast)[0])
    return figures | {
        "adbc_ingest_seconds": write["adbc"],
        "own_publish_seconds": write["publish"],
        "write_over_adbc": write["publish"] / write["adbc"],
    }


def beside_a_script(folder: Path, night: dict[str, float]) -> dict[str, float]:
    """`script_over_night` on the source that lies in a folder, and the seconds of both.

    Args:
        folder: With `source.db`.
        night: Seconds of the night's stages, as `<stage>_seconds`.
    """
    request: dict[str, Any] = {"source": f"sqlite:///{folder}/source.db", "output": f"sqlite:///{folder}/script.db"}
    request |= {"frequency": "D", "horizon": HORIZON, "levels": LEVELS.tolist()}
    (folder / "request.json").write_text(json.dumps(request), encoding="utf-8")
    command = [str(prepared()), "-m", "benchmarks.workers.neuralforecast_script", str(folder)]
    subprocess.run(command, cwd=folder, env=surroundings(), check=True, stdout=sys.stderr.fileno())
    script: dict[str, float] = json.loads((folder / "answer.json").read_text(encoding="utf-8"))
    own = sum(night[f"{stage}_seconds"] for stage in STAGES)
    total = sum(seconds for name, seconds in script.items() if name.endswith("_seconds"))
    figures = {"script_over_night": total / own, "night_from_query_to_rows_seconds": own}
    return figures | {f"script_{name}": value for name, value in script.items()}


def in_turn(
    rounds: int, works: dict[str, tuple[Callable[..., float], tuple[Any, ...]]]
) -> dict[str, tuple[float, float]]:
    """Seconds and peak MiB of each work's fastest round."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, (work, arguments) in works.items():
            found[name].append(alone(work, *arguments))
    return {name: min(times) for name, times in found.items()}


if __name__ == "__main__":
    main()
