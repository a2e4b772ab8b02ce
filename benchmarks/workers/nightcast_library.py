"""This product called as a library, in a process of its own as its peers are; see `measured` for how it is called.

`settings` may hold `network` and `training`, as a job file would; `season_lengths`; and `origins`: 1 for a loss from
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

from benchmarks.workers.measured import Answer, Request, long_format, peak_mib, warm_rate
from models.audit.build_panel import build_panel
from models.network.forecaster import Forecaster
from models.network.plan import Plan
from models.panel.panel import Panel
from models.settings.forecast import ForecastSettings
from models.settings.network import NetworkSettings
from models.settings.training import TrainingSettings
from models.training.fit import fit
from models.training.loop import TrainingReport

NEVER = datetime(9999, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Parts:
    """What a job file would hold."""

    forecast: ForecastSettings
    network: NetworkSettings
    training: TrainingSettings


def main() -> None:
    request = Request.read()
    parts = parts_of(request)
    history = request.rows()
    began = time.perf_counter()
    forecaster, report = train(history, parts, request.settings.get("origins"))
    train_seconds = time.perf_counter() - began
    in_memory = [panel for panel, _ in panels(history, parts.forecast)]
    rate = warm_rate(sum(map(len, in_memory)), lambda: [forecaster.predict(panel) for panel in in_memory])
    rows_of_forecasts, forecast_seconds = [], 0.0
    for cutoff in request.ends:
        rows = request.rows(cutoff)
        began = time.perf_counter()
        answers = [(forecaster.predict(panel), end) for panel, end in panels(rows, parts.forecast)]
        forecast_seconds += time.perf_counter() - began
        for answer, end in answers:
            names = [str(name) for name in answer.series_ids]
            # Levels that were not asked for, as the median always is, are left out.
            asked = np.searchsorted(answer.quantile_levels, np.array(request.levels) - 1e-9)
            quantiles = answer.quantiles[:, :, asked]
            ends = [end] * len(names)
            rows_of_forecasts.append(long_format(names, ends, request.frequency, request.levels, quantiles))
    rate_of_steps = report.steps_per_second or None
    Answer(train_seconds, report.steps, rate_of_steps, forecast_seconds, rate, peak_mib(), "this").leave(
        pd.concat(rows_of_forecasts)
    )


def parts_of(request: Request) -> Parts:
    settings: dict[str, Any] = request.settings
    training = {"seed": request.seed, **settings.get("training", {})}
    if request.steps is not None:
        training["max_steps"] = request.steps
    return Parts(
        ForecastSettings(
            frequency=request.frequency,
            horizon=request.horizon,
            quantile_levels=request.levels,
            season_lengths=settings.get("season_lengths"),
        ),
        NetworkSettings.model_validate(settings.get("network", {})),
        TrainingSettings.model_validate(training),
    )


def train(rows: pd.DataFrame, parts: Parts, origins: int | None) -> tuple[Forecaster, TrainingReport]:
    """Train, with a loss from the newest `origins` steps of each window where the request says how many."""
    # One panel up to the newest step: series that end earlier train on what they have.
    panel, _ = build_panel(pa.Table.from_pandas(rows, preserve_index=False), parts.forecast, cutoff=None, now=NEVER)

    def change(plan: Plan) -> Plan:
        return plan if origins is None else replace(plan, origins=origins)

    return fit(panel, parts.forecast, parts.network, parts.training, change_plan=change)


def panels(rows: pd.DataFrame, forecast: ForecastSettings) -> list[tuple[Panel, pd.Timestamp]]:
    """A panel of the series that end together, for each end, and that end."""
    ends = rows.groupby("series_id")["timestamp"].transform("max")
    return [
        (
            build_panel(pa.Table.from_pandas(each, preserve_index=False), forecast, cutoff=end, now=NEVER)[0],
            pd.Timestamp(end),
        )
        for end, each in rows.groupby(ends)
    ]


if __name__ == "__main__":
    main()
