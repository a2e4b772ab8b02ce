"""Other people's forecasters beside this one: the same rows, the same machine, each run in a fresh process.

The peers live in `.venv-peers`, which the first run makes: PyTorch by plain pip, then `requirements/peers.txt`. What
runs is a script of `workers/`; it leaves forecasts, which `judge` scores as it scores this product's own, and its own
seconds and peak memory. Imports are not in the seconds, and no worker runs beside another.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.shared.judge import LEVELS, Set, cutoffs, go_on, judged

ROOT = Path(__file__).parents[2]
ENVIRONMENT = ROOT / ".venv-peers"
REQUIREMENTS = ROOT / "requirements" / "peers.txt"
TORCH = "torch==2.13.0"
WORDS_OF_AN_ERROR = 2_000


@dataclass(frozen=True)
class Peer:
    """A product and its settings.

    Attributes:
        worker: The script of `workers/` that runs it.
        settings: Of its own network and training; empty for its defaults.
    """

    worker: str
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def python(self) -> Path:
        return Path(sys.executable) if self.worker == "nightcast_library" else prepared()


@dataclass(frozen=True)
class Measured:
    """What a worker left: its `Answer` by name, and its forecasts in long format."""

    answer: dict[str, Any]
    forecast: pd.DataFrame


def equal_network(horizon: int) -> dict[str, Any]:
    """This product's settings for the network that neuralforecast's LSTM is by default.

    Two layers of 128 over a context of three horizons step by step, 128 windows a step, and one dense output; no
    calendar, seasonal lags or series embedding, since the other has none.
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


def peers_of(this: Set) -> dict[str, Peer]:
    """What runs beside the nightly job on a set, by the name that its figures carry.

    `nightcast_library` is this product as a peer is run, without a database; `nightcast_equal` is that at the network
    of `neuralforecast_lstm`, which both sets leave at its default.
    """
    return {
        "nightcast_library": Peer("nightcast_library"),
        "nightcast_equal": Peer("nightcast_library", equal_network(this.horizon)),
        "neuralforecast_lstm": Peer("neuralforecast_lstm"),
        "gluonts_deepar": Peer("gluonts_deepar"),
    }


def scored(peer: Peer, this: Set, data: Path, seed: int, steps: int | None) -> dict[str, float]:
    """Train a peer on a set and forecast every cutoff of it.

    Args:
        peer: The peer.
        this: The set.
        data: The set's folder, with `history.parquet` and `actuals.parquet`.
        seed: Of weights and batches; 0 is each product's own default seed.
        steps: A cap on its steps, to try things out; None for none.

    Returns:
        mase, smape, wql, coverage_80, and the numbers of the worker's answer.
    """
    history, actuals = (pd.read_parquet(data / f"{name}.parquet") for name in ("history", "actuals"))
    nights = cutoffs(this, history, actuals)
    follow = go_on(actuals, nights)
    measured = measure(
        peer,
        history=data / "history.parquet",
        later=data / "actuals.parquet" if follow else None,
        frequency=this.frequency,
        horizon=this.horizon,
        cutoffs=[night.isoformat() for night in nights] if follow else [],
        seed=seed,
        steps=steps,
    )
    numbers = {name: value for name, value in measured.answer.items() if isinstance(value, int | float)}
    return judged(this, history, actuals, measured.forecast) | numbers


def mean_scored(peer: Peer, this: Set, data: Path, seeds: int, steps: int | None) -> dict[str, float]:
    """The mean of `scored` over seeds; what one of them could not measure is left out."""
    runs = [scored(peer, this, data, seed, steps) for seed in range(seeds)]
    return {
        name: float(np.mean([each[name] for each in runs])) for name in runs[0] if all(name in each for each in runs)
    }


def measure(
    peer: Peer,
    *,
    history: Path,
    frequency: str,
    horizon: int,
    steps: int | None,
    seed: int = 0,
    later: Path | None = None,
    cutoffs: Sequence[str] = (),
) -> Measured:
    """Run a worker in a process of its own; see `workers/measured.py` for what is asked and what is answered.

    Raises:
        RuntimeError: where the worker fails; holds what it said.
    """
    request = {
        "history": str(history.resolve()),
        "later": None if later is None else str(later.resolve()),
        "frequency": frequency,
        "horizon": horizon,
        "levels": LEVELS.tolist(),
        "cutoffs": list(cutoffs),
        "settings": dict(peer.settings),
        "steps": steps,
        "seed": seed,
    }
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "request.json").write_text(json.dumps(request), encoding="utf-8")
        # Some libraries leave logs where they run.
        command = [str(peer.python), "-m", f"benchmarks.workers.{peer.worker}", folder]
        done = subprocess.run(command, cwd=folder, env=surroundings(), capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{peer.worker} ended with {done.returncode}: {done.stderr[-WORDS_OF_AN_ERROR:]}")
        answer = json.loads((place / "answer.json").read_text(encoding="utf-8"))
        said = f"{peer.worker}: {answer['steps']} steps in {answer['train_seconds']:.1f} s"
        print(said, file=sys.stderr, flush=True)
        return Measured(answer, pd.read_parquet(place / "forecast.parquet"))


def surroundings() -> dict[str, str]:
    """Environment variables of a worker: as many threads for one as for the other, and this checkout's code."""
    threads = str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count())
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
    return {**os.environ, **dict.fromkeys(names, threads), "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}


def prepared(environment: Path = ENVIRONMENT) -> Path:
    """The Python of the peers; their environment is made where it is missing or its requirements changed.

    Raises:
        subprocess.CalledProcessError: where something cannot be installed; pip has said what.
    """
    python = environment / "bin" / "python"
    wanted = f"{TORCH}\n{REQUIREMENTS.read_text(encoding='utf-8')}"
    stamp = environment / ".installed"
    if not stamp.is_file() or stamp.read_text(encoding="utf-8") != wanted:
        print(f"Installing PyTorch and the peers into {os.path.relpath(environment)}", file=sys.stderr, flush=True)
        subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
        for what in ([TORCH], ["-r", str(REQUIREMENTS)]):
            # To standard error: standard output is the benchmark's.
            pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *what]
            subprocess.run(pip, check=True, stdout=sys.stderr.fileno())
        stamp.write_text(wanted, encoding="utf-8")
    return python
