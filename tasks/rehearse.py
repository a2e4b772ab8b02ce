"""Try a job's first model on past nights, so that the first live ones have something to be compared with."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from models.forecaster import Forecaster
from models.rehearsal import rehearse
from models.scoring import segments_of
from models.settings import ForecastSettings, MonitorSettings
from models.time_grid import TimeGrid
from models.volume_classes import volume_segments
from sql import history, write
from tasks.fit_model import Fitted
from tasks.panel_store import load_panel
from tasks.places import Places
from tasks.step import logger, step


@step("try {fitted.version} on past nights", retries=2, retry_delay_seconds=(2, 10))
def rehearse_nights(
    places: Places, panel_file: Path, fitted: Fitted, forecast: ForecastSettings, monitor: MonitorSettings
) -> int:
    """Write what past nights would have lost with tonight's new model, once for each job.

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
    segments = segments_of(panel, monitor.segments)
    if monitor.volume_classes:
        segments |= volume_segments(panel, panel.cutoff_index)
    evenings = rehearse(
        Forecaster.load(fitted.folder), panel, forecast, segments, wanted, max(1, round(grid.steps_per_day))
    )
    rows = [
        {
            "job": places.job,
            "evaluated_on": grid.instant(panel.cutoff_index - evening.back),
            "segment": segment,
            "version": fitted.version,
            "learnt": evening.learnt,
            **asdict(loss),
        }
        for evening in evenings
        for segment, loss in evening.losses.items()
    ]
    write.upsert_backtest_losses(places.engine(), rows)
    logger().info("%s was tried on %d past nights", fitted.version, len(evenings))
    return len(evenings)
