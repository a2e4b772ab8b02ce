"""Forecasters of other projects on the same rows and the same machine, each run in a fresh process.

They live in `.venv-peers`, which the first run makes: PyTorch by plain pip, then `requirements/peers.txt`. A program of
`workers/` runs a peer and writes its forecasts, its seconds without imports, and its peak memory. `scoring` then scores
the forecasts like this product's own. Workers run one after the other.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.shared.command import ROOT
from benchmarks.shared.data_sets import LEVELS, DataSet, is_rolling
from benchmarks.shared.scoring import score
from benchmarks.workers.protocol import Request

ENVIRONMENT = ROOT / ".venv-peers"
REQUIREMENTS = ROOT / "requirements" / "peers.txt"
TORCH = "torch==2.13.0"
LIBRARY = "nightcast_library"
ERROR_CHARACTERS = 2_000


@dataclass(frozen=True)
class Peer:
    """A product and its settings.

    Attributes:
        worker: The module of `workers/` that runs it.
        settings: Settings of its network and training; empty for its defaults.
    """

    worker: str
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def python(self) -> Path:
        return Path(sys.executable) if self.worker == LIBRARY else peers_python()


@dataclass(frozen=True)
class Measured:
    """What a worker wrote: its `Answer` by name, and its forecasts in long format."""

    answer: dict[str, Any]
    forecast: pd.DataFrame


def equal_network(horizon: int) -> dict[str, Any]:
    """This product's settings for the network that neuralforecast's LSTM is by default.

    Two layers of 128 over a context of three horizons, step by step, 128 windows in a batch, and one dense output. No
    calendar, seasonal lags or series embedding, since the other network has none.
    """
    return {
        "network": {
            "layers": [{"cell": "lstm", "units": 128}] * 2,
            "segment": 1,
            "context_length": 3 * horizon,
            "head": [],
            "residual": "none",
            "input": {"calendar": False, "series_embedding": 0},
        },
        "training": {"batch_size": 128},
    }


def peers_of(data_set: DataSet) -> dict[str, Peer]:
    """The forecasters beside the nightly job on a data set, by the name in the figures.

    `nightcast_library` is this product run like a peer, without a database. `nightcast_equal` is the same with the
    network of `neuralforecast_lstm`.
    """
    return {
        LIBRARY: Peer(LIBRARY),
        "nightcast_equal": Peer(LIBRARY, equal_network(data_set.horizon)),
        "neuralforecast_lstm": Peer("neuralforecast_lstm"),
        "gluonts_deepar": Peer("gluonts_deepar"),
    }


def score_peer(peer: Peer, data_set: DataSet, folder: Path, seed: int, steps: int | None) -> dict[str, float]:
    """Train a peer on a data set, forecast at every cutoff, and score the forecasts.

    Args:
        peer: The peer.
        data_set: The data set.
        folder: Where the data set is.
        seed: Seed of weights and batches; 0 is each product's default.
        steps: An upper limit of training steps, to try things out; None for no limit.

    Returns:
        mase, smape, wql, coverage_80, and the numbers of the worker's answer.
    """
    history, actuals = data_set.read(folder)
    cutoffs = data_set.cutoffs(history, actuals)
    request = Request(
        history=str(folder / "history.parquet"),
        frequency=data_set.frequency,
        horizon=data_set.horizon,
        levels=LEVELS.tolist(),
        steps=steps,
        seed=seed,
    )
    if is_rolling(actuals, cutoffs):
        later = str(folder / "actuals.parquet")
        request = replace(request, later=later, cutoffs=[cutoff.isoformat() for cutoff in cutoffs])
    measured = run_worker(peer, request)
    numbers = {name: value for name, value in measured.answer.items() if isinstance(value, int | float)}
    return score(data_set, history, actuals, measured.forecast) | numbers


def mean_scores(peer: Peer, data_set: DataSet, folder: Path, seeds: int, steps: int | None) -> dict[str, float]:
    """The mean of `score_peer` over seeds, without figures that a seed lacks."""
    runs = [score_peer(peer, data_set, folder, seed, steps) for seed in range(seeds)]
    return {
        name: float(np.mean([each[name] for each in runs])) for name in runs[0] if all(name in each for each in runs)
    }


def run_worker(peer: Peer, request: Request) -> Measured:
    """Run a worker in a process of its own, with the peer's settings.

    Raises:
        RuntimeError: the worker fails; the message ends with its output.
    """
    history = str(Path(request.history).resolve())
    later = None if request.later is None else str(Path(request.later).resolve())
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        replace(request, history=history, later=later, settings=dict(peer.settings)).write(place)
        # Some libraries write logs into their working directory.
        command = [str(peer.python), "-m", f"benchmarks.workers.{peer.worker}", folder]
        done = subprocess.run(
            command, cwd=folder, env=worker_environment(), capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"{peer.worker} ended with {done.returncode}: {done.stderr[-ERROR_CHARACTERS:]}")
        answer = json.loads((place / "answer.json").read_text(encoding="utf-8"))
        progress = f"{peer.worker}: {answer['steps']} steps in {answer['train_seconds']:.1f} s"
        print(progress, file=sys.stderr, flush=True)
        return Measured(answer, pd.read_parquet(place / "forecast.parquet"))


def worker_environment() -> dict[str, str]:
    """Environment variables of a worker: the same number of threads for each, and the code of this checkout."""
    threads = str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count())
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
    return {**os.environ, **dict.fromkeys(names, threads), "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}


def peers_python(environment: Path = ENVIRONMENT) -> Path:
    """The Python of the peers. Makes their environment if it is missing or its requirements changed.

    Raises:
        subprocess.CalledProcessError: something cannot be installed; pip printed the reason.
    """
    python = environment / "bin" / "python"
    wanted = f"{TORCH}\n{REQUIREMENTS.read_text(encoding='utf-8')}"
    stamp = environment / ".installed"
    if not stamp.is_file() or stamp.read_text(encoding="utf-8") != wanted:
        print(f"Installing PyTorch and the peers into {os.path.relpath(environment)}", file=sys.stderr, flush=True)
        subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
        for requirement in ([TORCH], ["-r", str(REQUIREMENTS)]):
            # To standard error: standard output belongs to the benchmark.
            pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *requirement]
            subprocess.run(pip, check=True, stdout=sys.stderr.fileno())
        stamp.write_text(wanted, encoding="utf-8")
    return python
