"""What is measured on one source: two nights, a read and a write beside bare ADBC, and a script beside them."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.scale.simulated_source import SimulatedSource
from benchmarks.scale.timed_work import (
    Spent,
    alone,
    fetch,
    ingest_file,
    ingest_history,
    publish_file,
    read_rows,
    read_view,
    save_published,
)
from benchmarks.shared.command import run_command
from benchmarks.shared.data_sets import LEVELS
from benchmarks.shared.peers import peers_python, worker_environment
from benchmarks.shared.simulated_history import HORIZON
from sql.engine.connection import connect, resolve_url
from sql.migrations.migrate import migrate

TENSORFLOW_BYTES = 1.5e9
"""Memory that TensorFlow itself takes."""

PUBLISH_STAGES = ("read", "audit", "decide", "fit", "predict", "publish")
"""The stages from the query to the published rows."""

JOB = """
name: scale
source: {{url: "{source}", table: observations}}
forecast: {{frequency: {step}, horizon: {horizon}, lower_bound: 0}}
network: {{segment: {segment}, layers: [{{cell: gru, units: 128}}]}}
training: {{max_steps: 20, time_limit: 300, seed: 0}}
output: {{url: "{output}"}}
"""
Figures = dict[str, float]


@dataclass(frozen=True)
class Measurement:
    """One source in one kind of database.

    Attributes:
        folder: An empty folder.
        make_url: Makes an empty database from a name.
        source: The source.
        rounds: How often each read and each write is measured; the fastest round counts.
    """

    folder: Path
    make_url: Callable[[str], str]
    source: SimulatedSource
    rounds: int

    def run(self) -> Figures:
        """All figures; a name ends in its unit, a ratio has none."""
        source_url, output_url = self.make_url("source"), self.make_url("output")
        alone(ingest_history, source_url, self.source)
        nights = self._nights(source_url, output_url) | self._views(output_url)
        return nights | self._read(source_url) | self._write(output_url)

    def _nights(self, source_url: str, output_url: str) -> Figures:
        source = self.source
        job = self.folder / "scale.yaml"
        settings = {"step": source.step, "horizon": source.horizon, "segment": source.segment}
        job.write_text(JOB.format(source=source_url, output=output_url, **settings), encoding="utf-8")
        trained = run_command(["run", str(job), "--cutoff", source.earlier_cutoff.isoformat(), "--json"])
        night = run_command(["run", str(job), "--cutoff", source.cutoff.isoformat(), "--train", "never", "--json"])
        stages = {f"{stage}_seconds": float(seconds) for stage, seconds in night.answer["seconds"].items()}
        peak_bytes = max(night.peak_mib, trained.peak_mib) * 2**20
        return stages | {
            # All actuals of a horizon at once; a job that runs every night stores those of one step.
            "actuals_over_stages": stages["actuals_seconds"] / sum(stages.values()),
            "rows": float(night.answer["rows_read"]),
            "rows_of_the_training_night": float(trained.answer["rows_read"]),
            "stages_seconds": sum(stages.values()),
            "night_seconds": night.seconds,
            "night_peak_mib": night.peak_mib,
            "training_night_seconds": trained.seconds,
            "training_night_peak_mib": trained.peak_mib,
            "memory_over_panel": (peak_bytes - TENSORFLOW_BYTES) / (4 * source.series * source.steps),
        }

    def _views(self, url: str) -> Figures:
        night, series = f"cutoff = '{self.source.earlier_cutoff:%Y-%m-%d %H:%M:%S.%f}'", "series_id = 'series-000000'"
        if not url.startswith("sqlite"):
            night = f"cutoff = '{self.source.earlier_cutoff.isoformat()}'"
        asked = {"view_of_a_night": night, "view_of_a_series": series}
        return {
            f"{name}_seconds": min(alone(read_view, url, condition).seconds for _ in range(self.rounds))
            for name, condition in asked.items()
        }

    def _read(self, url: str) -> Figures:
        kept = self.folder / "observations.arrow"
        bare, own = Spent(math.inf, 0.0), Spent(math.inf, 0.0)
        for _ in range(self.rounds):
            bare = min(bare, alone(fetch, url))
            own = min(own, alone(read_rows, url, kept))
        return {
            "adbc_fetch_seconds": bare.seconds,
            "own_read_seconds": own.seconds,
            "own_read_peak_mib": own.peak_mib,
            "read_over_adbc": own.seconds / bare.seconds,
        }

    def _write(self, url: str) -> Figures:
        forecast = self.folder / "forecast.arrow"
        alone(save_published, url, forecast, self.source.cutoff)
        bare_urls, own_urls = ([self.make_url(f"{name}_{turn}") for turn in range(self.rounds)]
                               for name in ("adbc", "publish"))  # fmt: skip
        for target in own_urls:
            migrate(connect(resolve_url(target)))
        bare, own = math.inf, math.inf
        for bare_url, own_url in zip(bare_urls, own_urls, strict=True):
            bare = min(bare, alone(ingest_file, bare_url, forecast).seconds)
            own = min(own, alone(publish_file, own_url, forecast).seconds)
        return {"adbc_ingest_seconds": bare, "own_publish_seconds": own, "write_over_adbc": own / bare}


def beside_a_script(folder: Path, night: Figures) -> Figures:
    """`script_over_night` on the source in a folder, and the seconds of both.

    Args:
        folder: It holds `source.db`.
        night: Seconds of the night's stages, as `<stage>_seconds`.
    """
    request: dict[str, Any] = {"source": f"sqlite:///{folder}/source.db", "output": f"sqlite:///{folder}/script.db"}
    request |= {"frequency": "D", "horizon": HORIZON, "levels": LEVELS.tolist()}
    (folder / "request.json").write_text(json.dumps(request), encoding="utf-8")
    command = [str(peers_python()), "-m", "benchmarks.workers.neuralforecast_script", str(folder)]
    subprocess.run(command, cwd=folder, env=worker_environment(), check=True, stdout=sys.stderr.fileno())
    script: Figures = json.loads((folder / "answer.json").read_text(encoding="utf-8"))
    own = sum(night[f"{stage}_seconds"] for stage in PUBLISH_STAGES)
    total = sum(seconds for name, seconds in script.items() if name.endswith("_seconds"))
    figures = {"script_over_night": total / own, "night_from_query_to_rows_seconds": own}
    return figures | {f"script_{name}": value for name, value in script.items()}
