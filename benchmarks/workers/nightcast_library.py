"""This product called as a library, in a process of its own like its peers.

`settings` may hold `network` and `training` as a job file would, `season_lengths`, and `origins`: 1 for a loss from
each window's last step alone.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from benchmarks.workers.protocol import Answer, Request, long_format, peak_mib, warm_rate
from models.audit.build_panel import build_panel
from models.network.forecaster import Forecaster
from models.network.plan import Plan
from models.panel.panel import Panel
from models.settings.forecast import ForecastSettings
from models.settings.network import NetworkSettings
from models.settings.training import TrainingSettings
from models.training.fit import fit
from models.training.report import TrainingReport

# Far in the future, so that no value is refused as later than now.
NOW = datetime(9999, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Parts:
    """The parts of a job file that a library call needs."""

    forecast: ForecastSettings
    network: NetworkSettings
    training: TrainingSettings

    @classmethod
    def of(cls, request: Request) -> Parts:
        settings = request.settings
        training: dict[str, Any] = {"seed": request.seed, **settings.get("training", {})}
        if request.steps is not None:
            training["max_steps"] = request.steps
        return cls(
            ForecastSettings(
                frequency=request.frequency,
                horizon=request.horizon,
                quantile_levels=request.levels,
                season_lengths=settings.get("season_lengths"),
            ),
            NetworkSettings.model_validate(settings.get("network", {})),
            TrainingSettings.model_validate(training),
        )


def main() -> None:
    request = Request.read()
    parts = Parts.of(request)
    history = request.rows()
    began = time.perf_counter()
    forecaster, report = train(history, parts, request.settings.get("origins"))
    train_seconds = time.perf_counter() - began
    in_memory = [panel for panel, _ in panels(history, parts.forecast)]
    rate = warm_rate(sum(map(len, in_memory)), lambda: [forecaster.predict(panel) for panel in in_memory])
    found, forecast_seconds = [], 0.0
    for cutoff in request.ends:
        rows = request.rows(cutoff)
        began = time.perf_counter()
        forecasts = [(forecaster.predict(panel), end) for panel, end in panels(rows, parts.forecast)]
        forecast_seconds += time.perf_counter() - began
        for forecast, end in forecasts:
            names = [str(name) for name in forecast.series_ids]
            # A forecast always has the median, even if the request leaves it out.
            requested = np.searchsorted(forecast.quantile_levels, np.array(request.levels) - 1e-9)
            quantiles = forecast.quantiles[:, :, requested]
            found.append(long_format(names, [end] * len(names), request.frequency, request.levels, quantiles))
    step_rate = report.steps_per_second or None
    answer = Answer(train_seconds, report.steps, step_rate, forecast_seconds, rate, peak_mib(), "this")
    answer.write(pd.concat(found))


def train(rows: pd.DataFrame, parts: Parts, origins: int | None) -> tuple[Forecaster, TrainingReport]:
    """Train; `origins`, if given, is the number of last steps of each window that have a loss."""
    # One panel up to the newest step: series that end earlier train on what they have.
    panel, _ = build_panel(pa.Table.from_pandas(rows, preserve_index=False), parts.forecast, cutoff=None, now=NOW)

    def change(plan: Plan) -> Plan:
        return plan if origins is None else replace(plan, origins=origins)

    return fit(panel, parts.forecast, parts.network, parts.training, change_plan=change)


def panels(rows: pd.DataFrame, forecast: ForecastSettings) -> list[tuple[Panel, pd.Timestamp]]:
    """A panel for each group of series that end together, and that end."""
    ends = rows.groupby("series_id")["timestamp"].transform("max")
    return [
        (
            build_panel(pa.Table.from_pandas(each, preserve_index=False), forecast, cutoff=end, now=NOW)[0],
            pd.Timestamp(end),
        )
        for end, each in rows.groupby(ends)
    ]


if __name__ == "__main__":
    main()
