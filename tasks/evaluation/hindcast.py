"""Try a job's first model on past nights, so that the first live ones have something to be compared with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

from models.calendar.grid import TimeGrid
from models.calibration.evidence import Evidence
from models.evaluation.hindcast import HindcastEvaluation, hindcast
from models.evaluation.segments import watched_segments
from models.network.forecaster import Forecaster
from models.settings.forecast import ForecastSettings
from models.settings.monitoring import CalibrationSettings, MonitorSettings
from sql.output import history, write
from tasks.forecasting.calibration import keep_evidence
from tasks.step import logger, step
from tasks.store.panel_file import load_panel
from tasks.store.places import Places
from tasks.training.fit_model import Fitted


@step("try {fitted.version} on past nights", retries=2, retry_delay_seconds=(2, 10))
def run_hindcast(
    places: Places,
    panel_file: Path,
    fitted: Fitted,
    forecast: ForecastSettings,
    monitor: MonitorSettings,
    calibration: CalibrationSettings,
) -> int:
    """Write what past nights would have lost with tonight's new model, and covered, once for each job.

    Later models are compared with the same nights, and with live ones as these become enough: a model that is worse is
    to be found, and not to be the measure of itself.

    Returns:
        The number of nights.
    """
    wanted = monitor.reference_nights if monitor.backtest_nights is None else monitor.backtest_nights
    if not wanted or fitted.stored is None or fitted.folder is None:
        return 0
    if any(row["segment"] == "all" for row in history.backtest_losses(places.engine(), places.job)):
        return 0
    panel = load_panel(panel_file)
    grid = TimeGrid(panel.frequency, panel.time_zone)
    segments, stride = watched_segments(panel, monitor), max(1, round(grid.steps_per_day))
    evaluations = hindcast(Forecaster.load(fitted.folder), panel, forecast, segments, wanted, stride)
    rows = [
        {
            "job": places.job,
            "evaluated_on": grid.instant(panel.cutoff_index - evaluation.steps_back),
            "segment": segment,
            "model_version": fitted.version,
            "in_sample": evaluation.in_sample,
            **asdict(loss),
        }
        for evaluation in evaluations
        for segment, loss in evaluation.losses.items()
    ]
    _keep_covered(places, evaluations, grid.instant(panel.cutoff_index - 1), calibration)
    write.upsert_backtest_losses(places.engine(), rows)
    logger().info("%s was tried on %d past nights", fitted.version, len(evaluations))
    return len(evaluations)


def _keep_covered(
    places: Places, evaluations: Sequence[HindcastEvaluation], known_at: datetime, calibration: CalibrationSettings
) -> None:
    """Keep what the evaluations that the model had not learnt from tell of its quantiles.

    `known_at` is before tonight, which is to be calibrated by it, and after every other night.
    """
    fresh = [each.calibration_points for each in evaluations if each.calibration_points is not None]
    if not (calibration.enabled and calibration.hindcast_weight and fresh):
        return
    evidence = Evidence.empty(fresh[0].quantile_levels, fresh[0].horizon)
    for evaluation in fresh:
        evidence = evidence.updated(evaluation, calibration.half_life, 0.0, None, calibration.hindcast_weight)
    keep_evidence(places, known_at, evidence)
