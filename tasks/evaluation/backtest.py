"""The steps of a backtest: choose cutoffs, train, forecast from each, let others do so too, judge together."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from models.arrays import FloatArray
from models.audit.build_panel import build_panel
from models.audit.covariates import Covariates
from models.baselines.challengers import Challenge, challenge
from models.calendar.grid import TimeGrid
from models.errors import InputError
from models.evaluation.backtest import NETWORK, Judged, Origin, judge_origins
from models.evaluation.segments import watched_segments
from models.network.forecaster import Forecaster
from models.panel.forecast import Forecast
from models.panel.panel import Panel
from models.settings.audit import AuditSettings
from models.settings.forecast import ForecastSettings
from models.settings.monitoring import MonitorSettings
from models.settings.network import NetworkSettings
from models.settings.training import TrainingSettings
from sql.source.as_of import known_at
from sql.source.read import Source
from tasks.process_pool import spread_over, worker_count
from tasks.quiet_keras import quiet_import
from tasks.reading.covariates import covariates
from tasks.reading.read_series import moment_of_knowledge, seen_at
from tasks.step import logger, step
from tasks.store.rows_file import load_rows

Train = Literal["once", "each"]


@step("choose cutoffs")
def choose_cutoffs(
    rows_file: Path, source: Source, forecast: ForecastSettings, policies: AuditSettings, count: int, now: datetime
) -> list[datetime]:
    """Cutoffs a horizon apart, oldest first, the newest a whole horizon before the last observed step.

    Raises:
        InputError: less than half of the history would be left to train on.
    """
    panel = _panel(rows_file, source, forecast, policies, None, now)
    grid = TimeGrid(panel.frequency, panel.time_zone)
    index = panel.cutoff_index - forecast.horizon * np.arange(count, 0, -1)
    if int(panel.lengths.max()) < 2 * forecast.horizon * count:
        most = int(panel.lengths.max()) // (2 * forecast.horizon)
        raise InputError(
            f"The longest series has {panel.lengths.max()} steps: {count} cutoffs of horizon {forecast.horizon} leave "
            f"less than half of them to train on. Ask for at most {most} cutoffs, or for a shorter horizon."
        )
    return [moment.to_pydatetime() for moment in pd.DatetimeIndex(grid.to_utc(index), tz="UTC")]


@step("forecast from {cutoffs} and score")
def backtest(
    rows_file: Path,
    source: Source,
    forecast: ForecastSettings,
    policies: AuditSettings,
    network: NetworkSettings,
    training: TrainingSettings,
    monitor: MonitorSettings,
    cutoffs: list[datetime],
    challengers: Sequence[str] = (),
    train: Train = "once",
) -> Judged:
    """Train, forecast from each cutoff, and judge by what came after: per step, per segment and over all.

    Challengers forecast the same panels, at the network's own quantile levels and bounds.
    """
    after = datetime.now(UTC) + timedelta(days=1)
    origins, levels = forecast_origins(
        rows_file, source, forecast, policies, network, training, monitor, cutoffs, challengers, train
    )
    return judge_origins(_panel(rows_file, source, forecast, policies, None, after), origins, levels)


def forecast_origins(
    rows_file: Path,
    source: Source,
    forecast: ForecastSettings,
    policies: AuditSettings,
    network: NetworkSettings,
    training: TrainingSettings,
    monitor: MonitorSettings,
    cutoffs: list[datetime],
    challengers: Sequence[str] = (),
    train: Train = "once",
) -> tuple[list[Origin], FloatArray]:
    """What everybody forecasts from each cutoff, and the quantile levels; nobody sees what came after it.

    The rows are read once. Each cutoff has a panel of its own, of the rows that were known then, which is gone when
    its forecasts are made. The network is trained at the first cutoff, or with `train="each"` anew at every one.
    """
    with quiet_import():
        from models.training.fit import fit

    after = datetime.now(UTC) + timedelta(days=1)
    forecaster: Forecaster | None = None
    origins = list[Origin]()
    values = len(challengers) * len(cutoffs) * load_rows(rows_file).num_rows
    with spread_over(worker_count(values)) as spread:
        for cutoff in cutoffs:
            panel = _panel(rows_file, source, forecast, policies, cutoff, after)
            if forecaster is None or train == "each":
                forecaster, _ = fit(panel, forecast, network, training)
            _tell(NETWORK, panel, cutoff)
            night = forecaster.predict(panel)
            bounds = forecaster.plan.lower_bound, forecast.upper_bound
            others = dict[str, Challenge]()
            for name in challengers:
                _tell(name, panel, cutoff)
                others[name] = challenge(name, panel, night.quantile_levels, *bounds, spread)
            origins.append(_origin(panel, night, others, monitor))
    return origins, night.quantile_levels


def _tell(name: str, panel: Panel, cutoff: datetime) -> None:
    logger().info("%s: forecasting %d series from %s", name, len(panel), f"{cutoff:%Y-%m-%d %H:%M}")


def _origin(panel: Panel, night: Forecast, others: dict[str, Challenge], monitor: MonitorSettings) -> Origin:
    forecasts: dict[str, Forecast | Challenge] = {NETWORK: night, **others}
    return Origin(
        cutoff_index=panel.cutoff_index,
        series_ids=panel.series_ids,
        quantiles={name: each.quantiles for name, each in forecasts.items()},
        baseline=night.baseline,
        reason={name: each.reason for name, each in forecasts.items()},
        segments=watched_segments(panel, monitor),
    )


def _panel(
    rows_file: Path,
    source: Source,
    forecast: ForecastSettings,
    policies: AuditSettings,
    cutoff: datetime | None,
    now: datetime,
) -> Panel:
    rows = load_rows(rows_file)
    columns = Covariates()
    # The whole history only judges: nothing need be known beyond its end.
    if cutoff is not None:
        grid = TimeGrid(forecast.frequency, forecast.time_zone)
        columns = covariates(source, rows_file, moment_of_knowledge(source, grid, cutoff, now))
        rows = seen_at(rows, source, forecast, cutoff, now)
    elif source.recorded_at is not None:
        rows = known_at(rows, now)
    return build_panel(rows, forecast, columns, cutoff=cutoff, now=now, audit=policies)[0]
