"""Nights in one process, one after the other."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from benchmarks.shared.command import ROOT
from benchmarks.soak.growth import Sample, sample

JOB = "soak"
_FIRST = pd.Timestamp("2024-03-01")
# Arrow has eight threads for files and one for each core, but starts another only when so many are wanted at once: by
# chance, so also after a hundred nights. Pools of one thread are full after the first night; any further thread is a
# leak.
SMALL_POOLS = {"ARROW_IO_THREADS": "1", "OMP_NUM_THREADS": "1"}


def night_samples(folder: Path, nights: int, **parts: dict[str, object]) -> list[Sample]:
    """Run the nights in a process of its own; what it measured after each. `parts` replace parts of the job."""
    make_job(folder, nights, **parts)
    passing = folder / "passing"
    passing.mkdir()
    command = [sys.executable, "-m", "benchmarks.soak.nights", str(folder), str(nights)]
    environment = os.environ | SMALL_POOLS | {"TMPDIR": str(passing)}
    samples: list[Sample] = []
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as done:
        for line in done.stdout or ():
            samples.append(Sample(**json.loads(line)))
            if len(samples) % 20 == 0:
                print(f"{len(samples)} nights: {samples[-1]}", flush=True)
    if done.returncode or len(samples) != nights:
        raise RuntimeError(f"The process ended with {done.returncode} after {len(samples)} nights.")
    return samples


def cutoffs(nights: int) -> list[str]:
    """The days of the nights."""
    return [f"{day:%Y-%m-%d}" for day in pd.date_range(_FIRST, periods=nights, freq="D")]


def make_job(folder: Path, nights: int, **parts: dict[str, object]) -> Path:
    """Write the source, rows up to the last night, and the job file, which it gives."""
    from sql.engine.url import resolve_url
    from sql.imports.import_file import import_file

    folder.mkdir(parents=True)
    days = pd.date_range("2023-12-01", _FIRST + pd.Timedelta(days=nights), freq="D")
    random = np.random.default_rng(0)
    rows = pd.concat(
        pd.DataFrame({"series_id": f"s{number}", "day": days, "value": 20 + random.gamma(4, 1, len(days))})
        for number in range(4)
    )
    history = folder / "history.parquet"
    rows.to_parquet(history, index=False)
    import_file(history, resolve_url("sqlite:///source.db", folder), "history", "replace")
    history.unlink()
    job = {
        "name": JOB,
        "source": {"url": "sqlite:///source.db", "table": "history", "timestamp": "day"},
        "forecast": {"frequency": "D", "horizon": 7, "quantile_levels": [0.1, 0.5, 0.9]},
        "network": {"layers": [{"cell": "gru", "units": 4}], "segment": 7, "context_length": 14},
        # One training, on the first night.
        "training": {"max_steps": 5, "time_limit": 120, "warm_after_days": 9_000, "retrain_after_days": 9_999},
        **parts,
    }
    file = folder / f"{JOB}.yaml"
    file.write_text(yaml.safe_dump(job), encoding="utf-8")
    return file


def run_nights(folder: Path, nights: int) -> None:
    """Run the nights in this process, and print what is measured after each."""
    from flows.deployments.dispatch import run_night

    for cutoff in cutoffs(nights):
        run_night(folder / f"{JOB}.yaml", cutoff=cutoff, now=pd.Timestamp(cutoff, tz="UTC") + pd.Timedelta(days=1))
        measured = sample(os.getpid(), folder / "passing", folder / "forecasts.db")
        print(json.dumps(vars(measured)), flush=True)


if __name__ == "__main__":
    run_nights(Path(sys.argv[1]), int(sys.argv[2]))
