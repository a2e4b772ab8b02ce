"""The series of a simulated night, as the steps of a real one leave them."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pyarrow.compute as pc

from benchmarks.shared.simulated_history import HORIZON, LAST_DAY, make_history
from models.arrays import FloatArray
from models.calendar.grid import TimeGrid
from models.evaluation.series_errors import SeriesErrors
from models.panel.panel import Panel
from tasks.report.record import NightRecord
from tasks.report.series.contents import SeriesOfNight
from tasks.report.series.forecast_file import ForecastArrays
from tasks.store.past_forecasts import PastForecast, PastForecasts

LEVELS = np.array([0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95])
NIGHTS_AGO = (1, 6, 12, 17, 23, 28)
CUTOFF = datetime(LAST_DAY.year, LAST_DAY.month, LAST_DAY.day, tzinfo=UTC)


def simulate_series(series: int, days: int, *, whole: bool) -> SeriesOfNight:
    """The series of a night of daily counts.

    Args:
        series: Number of series.
        days: Length of each.
        whole: Counts; otherwise random numbers, which no compression makes shorter.
    """
    random = np.random.default_rng(0)
    history = make_history(series, days)
    values = pc.cast(history["value"], "float32").to_numpy() if whole else random.normal(100, 20, series * days)
    panel = Panel(
        values=values.astype(np.float32),
        offsets=days * np.arange(series + 1),
        series_ids=np.unique(history["series_id"].to_numpy(zero_copy_only=False)).astype(str),
        frequency="D",
        cutoff_index=TimeGrid("D").position(CUTOFF),
        season_lengths=(7,),
        horizon=HORIZON,
    )
    rows = panel.values.reshape(series, days).astype(np.float64)
    spread = 1.3 * rows.std(axis=1)[:, None, None]
    quantiles = _ahead(rows, random)[..., None] + spread * (LEVELS - 0.5) * random.uniform(
        0.8, 1.2, (series, HORIZON, 7)
    )
    quantiles = np.sort(quantiles, axis=-1)
    forecast = ForecastArrays(
        panel.series_ids, np.ones(series, bool), [""] * series, LEVELS, quantiles, quantiles[..., 3], rows[:, -HORIZON:]
    )
    nights = []
    for ago in reversed(NIGHTS_AGO):
        middle = _ahead(rows[:, :-ago], random)
        ends = np.stack([middle, middle - spread[..., 0], middle + spread[..., 0]], axis=-1)
        nights.append(PastForecast(panel.cutoff_index - ago, ends.astype(np.float32)))
    errors = SeriesErrors.none(series)
    errors.points[:], errors.with_scale[:], errors.with_interval[:] = 84, 84, 84
    errors.scaled[:], errors.inside[:] = random.uniform(40, 120, series), random.integers(60, 84, series)
    errors.newest_miss[:] = random.uniform(-0.5, 0.2, series)
    past = PastForecasts(panel.series_ids, errors, {"all": np.ones(series, bool)}, nights)
    return SeriesOfNight("page", [panel], forecast, series, past, [], None)


def simulate_record() -> NightRecord:
    """The rest of the night: little, since the series are what makes a page long."""
    return NightRecord("page", CUTOFF)


def _ahead(rows: FloatArray, random: np.random.Generator) -> FloatArray:
    """A forecast: the last season again and again, and noise. Shape (series, horizon)."""
    season = np.tile(rows[:, -7:], (1, HORIZON // 7))
    return np.asarray(season * random.uniform(0.9, 1.1, season.shape), np.float64)
