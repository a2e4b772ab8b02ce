"""What a benchmark asks of a worker, and what the worker answers.

    python -m benchmarks.workers.NAME FOLDER

FOLDER holds `request.json`; the worker writes `forecast.parquet` and `answer.json` into it. This module runs in the
environment of each product, so it imports only what all of them have.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

FIRST_STEPS = 25
"""Training steps that a rate leaves out: they compile, allocate and warm up."""

WARM_FORECASTS, WARM_SECONDS = 5, 20.0
"""Forecasts that a rate is the median of, and the time after which no further one begins."""


@dataclass(frozen=True)
class Request:
    """What a worker does.

    Attributes:
        history: Parquet file of series_id, timestamp, value: what training may see.
        frequency: A pandas offset alias.
        horizon: Number of steps.
        levels: Quantile levels.
        later: Parquet file of the values after the history, for later cutoffs; None if there is none.
        cutoffs: ISO timestamps; empty for the end of each series' history.
        settings: Settings of the product's network and training; empty for its defaults.
        steps: An upper limit of training steps, to try things out; None for no limit.
        seed: Seed of weights and batches.
    """

    history: str
    frequency: str
    horizon: int
    levels: list[float]
    later: str | None = None
    cutoffs: list[str] = field(default_factory=list)
    settings: Mapping[str, Any] = field(default_factory=dict)
    steps: int | None = None
    seed: int = 0

    @classmethod
    def read(cls) -> Request:
        return cls(**json.loads((folder() / "request.json").read_text(encoding="utf-8")))

    def write(self, target: Path) -> None:
        (target / "request.json").write_text(json.dumps(asdict(self)), encoding="utf-8")

    @property
    def ends(self) -> list[str | None]:
        """The cutoffs; a single None stands for the end of each series' history."""
        return [*self.cutoffs] or [None]

    def rows(self, cutoff: str | None = None) -> pd.DataFrame:
        """Rows up to a cutoff, each series on every step of its grid, NaN where not observed.

        Args:
            cutoff: None for the history alone.
        """
        rows = pd.read_parquet(self.history)
        if cutoff is not None and self.later is not None:
            rows = pd.concat([rows, pd.read_parquet(self.later)])
            rows = rows[rows["timestamp"] <= pd.Timestamp(cutoff)]
        # Older versions of pandas, and the libraries built on them, hold strings as objects.
        rows["series_id"] = rows["series_id"].astype(str).astype(object)
        return pd.concat([_on_grid(str(name), each, self.frequency) for name, each in rows.groupby("series_id")])


@dataclass(frozen=True)
class Answer:
    """What a worker measured.

    Attributes:
        train_seconds: From rows in memory to a trained model.
        steps: Training steps.
        steps_per_second: Without the first steps; None if there were no others.
        forecast_seconds: From rows in memory to quantiles, all cutoffs.
        forecasts_per_second: Series per second with model and series in memory, see `warm_rate`.
        peak_mib: The most memory that the process held.
        version: Version of the product.
    """

    train_seconds: float
    steps: int
    steps_per_second: float | None
    forecast_seconds: float
    forecasts_per_second: float
    peak_mib: float
    version: str

    def write(self, forecast: pd.DataFrame) -> None:
        """Write the answer, and forecasts with series_id, cutoff, step, timestamp and a column for each level."""
        forecast.to_parquet(folder() / "forecast.parquet", index=False)
        (folder() / "answer.json").write_text(json.dumps(asdict(self)), encoding="utf-8")


def folder() -> Path:
    return Path(sys.argv[1])


def peak_mib() -> float:
    """The most memory that this process has held, in MiB."""
    # Not getrusage: it starts from the peak of the parent process.
    status = Path("/proc/self/status").read_text(encoding="ascii")
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


def warm_rate(series: int, forecast: Callable[[], object]) -> float:
    """Series per second of a call that forecasts them: the median of some calls after a first one."""
    forecast()
    spent: list[float] = []
    while len(spent) < WARM_FORECASTS and sum(spent) < WARM_SECONDS:
        began = time.perf_counter()
        forecast()
        spent.append(time.perf_counter() - began)
    return float(series / np.median(spent))


def step_rate(moments: list[float]) -> float | None:
    """Steps per second from the moments at which steps ended, without the first steps; None if none are left."""
    counted = moments[FIRST_STEPS - 1 :]
    return (len(counted) - 1) / (counted[-1] - counted[0]) if len(counted) > 1 else None


def timer(callback: Any) -> Any:
    """A callback for Lightning that keeps in `moments` when each step ended.

    Args:
        callback: The base class, from whichever of Lightning's two packages the product uses.
    """

    class Timer(callback):  # type: ignore[misc]
        def __init__(self) -> None:
            self.moments: list[float] = []

        def on_train_batch_end(self, *_: object) -> None:
            self.moments.append(time.perf_counter())

    return Timer()


def long_format(
    names: list[str], ends: list[pd.Timestamp], frequency: str, levels: list[float], quantiles: Any
) -> pd.DataFrame:
    """Forecasts as rows.

    Args:
        names: The series.
        ends: The cutoff of each series.
        frequency: A pandas offset alias.
        levels: Quantile levels.
        quantiles: Shape (series, horizon, level).
    """
    horizon = quantiles.shape[1]
    offset = pd.tseries.frequencies.to_offset(frequency)
    columns = {f"q{level:g}".replace(".", "_"): quantiles[..., i].ravel() for i, level in enumerate(levels)}
    return pd.DataFrame(
        {
            "series_id": np.repeat(names, horizon),
            "cutoff": np.repeat(pd.DatetimeIndex(ends), horizon),
            "step": np.tile(np.arange(1, horizon + 1), len(names)),
            "timestamp": pd.DatetimeIndex([end + step * offset for end in ends for step in range(1, horizon + 1)]),
            **columns,
        }
    )


def _on_grid(name: str, rows: pd.DataFrame, frequency: str) -> pd.DataFrame:
    values = rows.set_index("timestamp")["value"].sort_index()
    grid = pd.date_range(values.index[0], values.index[-1], freq=frequency, name="timestamp")
    return values.reindex(grid).reset_index().assign(series_id=name)[["series_id", "timestamp", "value"]]
