"""The steps of a backtest: choose cutoffs, train, forecast from each, let challengers forecast too, score together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from models.arrays import FloatArray
from models.audit.build_panel import build_panel
from models.audit.covariates import Covariates
from models.audit.find_origin import find_origin
from models.audit.findings import Findings
from models.audit.row_stream import TableBatches
from models.baselines.challengers import Challenge, challenge
from models.errors import InputError
from models.evaluation.backtest import NETWORK, BacktestResult, Origin, score_origins
from models.evaluation.segments import watched_segments
from models.network.forecaster import Forecaster
from models.panel.forecast import Forecast
from models.panel.panel import Panel
from models.settings.monitoring import MonitorSettings
from sql.source.as_of import known_at
from tasks.activity import TimeLeft, activity
from tasks.night.job import Job
from tasks.process_pool import spread_over, worker_count
from tasks.quiet_keras import quiet_import
from tasks.reading.covariates import covariates
from tasks.reading.read_series import moment_of_knowledge, seen_at
from tasks.step import logger, step
from tasks.store.rows_file import load_rows
from tasks.training.progress import training_progress

Train = Literal["once", "each"]


@dataclass(frozen=True)
class BacktestRun:
    """What every step of one backtest knows.

    Attributes:
        job: The job.
        rows_file: All rows of its source and every version of each, from `read_series`.
        challengers: Names of forecasters to compare with besides the seasonal naive, see `CHALLENGERS`.
        train: Train the network once, at the first cutoff, or anew at each.
    """

    job: Job
    rows_file: Path
    challengers: Sequence[str] = ()
    train: Train = "once"

    def on_grid_of_rows(self) -> BacktestRun:
        """The same run on the time grid on which the rows lie."""
        forecast, findings = self.job.forecast, Findings(self.job.audit)
        if forecast.origin is not None:
            return self
        origin = find_origin(TableBatches(load_rows(self.rows_file)), forecast.grid, findings)
        return replace(self, job=self.job.on_grid_of(origin))

    def whole_panel(self, now: datetime) -> Panel:
        """The whole history as it is known now, from which forecasts are scored."""
        rows = load_rows(self.rows_file)
        if self.job.source.recorded_at is not None:
            rows = known_at(rows, now)
        # Only its values are used: covariates need not be known beyond its end.
        return build_panel(rows, self.job.forecast, Covariates(), cutoff=None, now=now, audit=self.job.audit)[0]

    def panel_at(self, cutoff: datetime, now: datetime) -> Panel:
        """The history as a night at a cutoff would have known it; no night runs later than now."""
        source, forecast = self.job.source, self.job.forecast
        moment = moment_of_knowledge(source, forecast.grid, cutoff, now)
        columns = covariates(source, self.rows_file, moment)
        rows = seen_at(load_rows(self.rows_file), source, forecast, cutoff, now)
        return build_panel(rows, forecast, columns, cutoff=cutoff, now=now, audit=self.job.audit)[0]


@step("choose cutoffs")
def choose_cutoffs(run: BacktestRun, count: int, now: datetime) -> list[datetime]:
    """Cutoffs a horizon apart, oldest first, the newest a whole horizon before the last observed step.

    Raises:
        InputError: less than half of the history would be left to train on.
    """
    panel, horizon = run.whole_panel(now), run.job.forecast.horizon
    longest = int(panel.lengths.max())
    if longest < 2 * horizon * count:
        raise InputError(
            f"The longest series has {longest} steps: {count} cutoffs of horizon {horizon} leave less than half of "
            f"them to train on. Ask for at most {longest // (2 * horizon)} cutoffs, or for a shorter horizon."
        )
    index = panel.cutoff_index - horizon * np.arange(count, 0, -1)
    return [moment.to_pydatetime() for moment in pd.DatetimeIndex(panel.grid.to_utc(index), tz="UTC")]


@step("forecast from the cutoffs and score")
def backtest(run: BacktestRun, cutoffs: list[datetime]) -> BacktestResult:
    """Train, forecast from each cutoff, and score by what came after: each step, each segment and all together.

    Challengers forecast the same panels, at the network's own quantile levels and bounds.
    """
    origins, levels = forecast_origins(run, cutoffs)
    return score_origins(run.whole_panel(_tomorrow()), origins, levels)


def forecast_origins(run: BacktestRun, cutoffs: list[datetime]) -> tuple[list[Origin], FloatArray]:
    """What each forecaster forecasts from each cutoff, and the quantile levels; none sees what came after the cutoff.

    The rows are read once. Each cutoff has a panel of its own, of the rows that were known then, which is dropped
    when its forecasts are made.
    """
    with activity("loading Keras"), quiet_import():
        from models.training.fit import fit

    job, now = run.job, _tomorrow()
    forecaster: Forecaster | None = None
    steps = list[int]()
    origins = list[Origin]()
    values = len(run.challengers) * len(cutoffs) * load_rows(run.rows_file).num_rows
    left = TimeLeft(len(cutoffs), are_equal=run.train == "each")
    with spread_over(worker_count(values)) as spread:
        for cutoff in cutoffs:
            with activity(f"cutoff {cutoff:%Y-%m-%d %H:%M}: reading the rows"):
                panel = run.panel_at(cutoff, now)
            if forecaster is None or run.train == "each":
                with training_progress() as on_progress:
                    forecaster, report = fit(
                        panel, job.forecast, job.network, job.training, steps_before=steps, on_progress=on_progress
                    )
                steps = report.steps_in_time
                if report.cut:
                    logger().warning("%s: %s", f"{cutoff:%Y-%m-%d %H:%M}", report.cut)
            _log(NETWORK, panel, cutoff)
            forecast = forecaster.predict(panel)
            bounds = forecaster.plan.lower_bound, job.forecast.upper_bound
            challenges = dict[str, Challenge]()
            for name in run.challengers:
                _log(name, panel, cutoff)
                challenges[name] = challenge(name, panel, forecast.quantile_levels, *bounds, spread)
            origins.append(_origin(panel, forecast, challenges, job.monitor))
            logger().info("Cutoff %s done: %s", f"{cutoff:%Y-%m-%d %H:%M}", left.next())
    return origins, forecast.quantile_levels


def _tomorrow() -> datetime:
    """A moment by which every row that was read had been recorded, even by a clock that is fast."""
    return datetime.now(UTC) + timedelta(days=1)


def _log(name: str, panel: Panel, cutoff: datetime) -> None:
    logger().info("%s: forecasting %d series from %s", name, len(panel), f"{cutoff:%Y-%m-%d %H:%M}")


def _origin(panel: Panel, night: Forecast, challenges: dict[str, Challenge], monitor: MonitorSettings) -> Origin:
    forecasts: dict[str, Forecast | Challenge] = {NETWORK: night, **challenges}
    return Origin(
        cutoff_index=panel.cutoff_index,
        series_ids=panel.series_ids,
        quantiles={name: each.quantiles for name, each in forecasts.items()},
        baseline=night.baseline,
        reason={name: each.reason for name, each in forecasts.items()},
        segments=watched_segments(panel, monitor),
    )
