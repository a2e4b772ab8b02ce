"""The steps of a backtest: choose cutoffs, train once, forecast from each, score together."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from models.audit import build_panel
from models.errors import InputError
from models.metrics import evaluate
from models.panel import Panel
from models.scoring import scales_at
from models.settings import ForecastSettings, NetworkSettings, TrainingSettings
from models.time_grid import TimeGrid
from sql.read import Source
from tasks.keras_import import quiet_import
from tasks.read_series import last_instant, load_rows, not_after
from tasks.step import logger, step


@step("choose cutoffs")
def choose_cutoffs(
    rows_file: Path, source: Source, forecast: ForecastSettings, count: int, now: datetime
) -> list[datetime]:
    """Cutoffs a horizon apart, oldest first, the newest a whole horizon before the last observed step.

    Raises:
        InputError: less than half of the history would be left to train on.
    """
    panel = _panel(rows_file, source, forecast, None, now)
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
    network: NetworkSettings,
    training: TrainingSettings,
    cutoffs: list[datetime],
) -> list[dict[str, Any]]:
    """Train at the first cutoff, forecast from each, and give every metric per step and over all."""
    with quiet_import():
        from models.forecaster import Forecaster

    after = datetime.now(UTC) + timedelta(days=1)
    whole = _panel(rows_file, source, forecast, None, after)
    panels = [_panel(rows_file, source, forecast, cutoff, after) for cutoff in cutoffs]
    # Series that begin between two cutoffs are in the later panel only.
    places = [np.searchsorted(whole.series_ids, panel.series_ids) for panel in panels]
    forecaster, _ = Forecaster.fit(panels[0], forecast, network, training)
    nights = []
    for panel in panels:
        logger().info("forecasting from grid position %d", panel.cutoff_index)
        nights.append((panel, forecaster.predict(panel)))
    scales = scales_at(whole, whole.season_lengths[0], [panel.cutoff_index for panel in panels])
    figures = evaluate(
        np.concatenate([_actual(whole, panel)[place] for panel, place in zip(panels, places, strict=True)]),
        np.concatenate([night.quantiles for _, night in nights]),
        nights[0][1].quantile_levels,
        np.concatenate([scale[place] for scale, place in zip(scales, places, strict=True)]),
        np.concatenate([night.baseline for _, night in nights]),
    )
    return [figure._asdict() for figure in figures]


def _panel(
    rows_file: Path, source: Source, forecast: ForecastSettings, cutoff: datetime | None, now: datetime
) -> Panel:
    columns = {"static": source.static, "known_future": source.known_future, "observed_past": source.observed_past}
    rows = load_rows(rows_file)
    if cutoff is not None:
        ahead = forecast.horizon if source.known_future else 0
        rows = not_after(rows, last_instant(TimeGrid(forecast.frequency, forecast.time_zone), cutoff, ahead), forecast)
    return build_panel(rows, forecast, cutoff=cutoff, now=now, **columns)[0]


def _actual(whole: Panel, panel: Panel) -> Any:
    """What came after a panel's cutoff, shape (series, horizon)."""
    return whole.tail(panel.horizon, skip=whole.cutoff_index - panel.cutoff_index - panel.horizon)
