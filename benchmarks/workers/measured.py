"""What every worker does alike: read a request, keep the rows it may see, time itself, leave an answer.

    python -m benchmarks.workers.<peer> FOLDER

FOLDER holds `request.json`; the worker leaves `forecast.parquet` and `answer.json` in it. Runs in the environment of
whichever product is measured, so it imports nothing but what all of them have.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

# Steps that no rate counts: the first ones compile, allocate and warm up.
FIRST_STEPS = 25
# Of warm forecasts: as many as are timed, fewer where they take longer than this together.
WARM_FORECASTS, WARM_SECONDS = 5, 20.0


@dataclass(frozen=True)
class Request:
    """What a worker is asked for.

    Attributes:
        history: Parquet file of series_id, timestamp, value: what training may see.
        later: The same of what came after, for cutoffs that follow; None where there is none.
        frequency: A pandas offset alias.
        horizon: Number of steps.
        levels: Quantile levels.
        cutoffs: ISO timestamps; empty for the end of each series' own history.
        settings: Of the product's own network and training; empty for its defaults.
        steps: A cap on steps of the optimizer, to try things out; None for none.
        seed: Of weights and batches.
    """

    history: str
    later: str | None
    frequency: str
    horizon: int
    levels: list[float]
    cutoffs: list[str]
    settings: dict[str, Any]
    steps: int | None
    seed: int

    @classmethod
    def read(cls) -> Request:
        return cls(**json.loads((folder() / "request.json").read_text(encoding="utf-8")))

    @property
    def ends(self) -> list[str | None]:
        """The cutoffs; one None for the end of each series' own history."""
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
        # Older pandas knows strings as objects, and so do the libraries on it.
        rows["series_id"] = rows["series_id"].astype(str).astype(object)
        return pd.concat([_on_grid(str(name), each, self.frequency) for name, each in rows.groupby("series_id")])


@dataclass(frozen=True)
class Answer:
    """What a worker measured.

    Attributes:
        train_seconds: From rows in memory to a trained model.
        steps: Steps of the optimizer.
        steps_per_second: Without the first ones; None where there were no others.
        forecast_seconds: From rows in memory to quantiles, all cutoffs.
        forecasts_per_second: Series a second, model and series in memory, the median of some calls after a first.
        peak_mib: Of the whole process.
        version: Of the product.
    """

    train_seconds: float
    steps: int
    steps_per_second: float | None
    forecast_seconds: float
    forecasts_per_second: float
    peak_mib: float
    version: str

    def leave(self, forecast: pd.DataFrame) -> None:
        """Write the answer, and forecasts as series_id, cutoff, step, timestamp and a column per level."""
        forecast.to_parquet(folder() / "forecast.parquet", index=False)
        (folder() / "answer.json").write_text(json.dumps(asdict(self)), encoding="utf-8")


def folder() -> Path:
    return Path(sys.argv[1])


def peak_mib() -> float:
    """The most memory that this process has held, in MiB."""
    # Not getrusage: there a process inherits the peak of the one that started it.
    status = Path("/proc/self/status").read_text(encoding="ascii")
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


def warm_rate(series: int, call: Callable[[], object]) -> float:
    """Series a second of a call that forecasts them: the median of some calls after a first."""
    call()
    spent: list[float] = []
    while len(spent) < WARM_FORECASTS and sum(spent) < WARM_SECONDS:
        began = time.perf_counter()
        call()
        spent.append(time.perf_counter() - began)
    return float(series / np.median(spent))


def rate_of(moments: list[float]) -> float | None:
    """Steps a second from the moments at which steps ended, the first ones left out; None where none are left."""
    counted = moments[FIRST_STEPS - 1 :]
    return (len(counted) - 1) / (counted[-1] - counted[0]) if len(counted) > 1 else None


def timer(callback: Any) -> Any:
    """A Lightning callback, of whichever of its two packages, that keeps when each step ended in `moments`."""

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
        ends: The cutoff of each.
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
