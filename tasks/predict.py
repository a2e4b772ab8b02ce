"""Forecast every series, and lay the forecast out as the rows of the table `forecast`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from models.baselines import fallback, seasonal_naive
from models.forecast import Forecast
from models.forecaster import Forecaster
from models.levels import Levels
from models.panel import Panel
from models.settings import ForecastSettings
from models.time_grid import TimeGrid
from sql.tables import quantile_column
from tasks.fit_model import Fitted
from tasks.keras_import import quantiles_of
from tasks.night_file import save_night
from tasks.panel_store import load_panel
from tasks.places import Places
from tasks.reconcile import reconciled
from tasks.step import step
from tasks.upper_levels import with_upper_levels

_PART_ROWS = 250_000
"""Rows of the table `forecast` in one row group."""


@dataclass(frozen=True)
class Predicted:
    """Tonight's forecast.

    Attributes:
        file: Parquet file of its rows (see `save_night`), one per series and step, series by series.
        series: Number of series.
        fallback_reasons: Why series were left to the fallback, and how many each.
        summary: Table of the network's layers; "" without a network.
        choices: What was chosen for the network and why.
    """

    file: Path
    series: int
    fallback_reasons: dict[str, int]
    summary: str = ""
    choices: list[str] = field(default_factory=list)

    @property
    def fallback_series(self) -> int:
        return sum(self.fallback_reasons.values())


@step("forecast every series of {places.job}")
def predict(
    places: Places,
    panel_file: Path,
    fitted: Fitted,
    forecast: ForecastSettings,
    cutoff: datetime,
    run_id: str,
    created_at: datetime,
    levels: Levels,
    seed: int,
) -> Predicted:
    """Forecast with tonight's model; series that it cannot forecast get the fallback and the reason.

    The upper series of the job's `levels` follow those of the source.
    """
    panel = load_panel(panel_file)
    summary, choices, bounds = "", list[str](), (forecast.lower_bound, forecast.upper_bound)
    if fitted.folder is None:
        tonight = fallback_forecast(panel, forecast, fitted.failure or "no model")
    else:
        forecaster = Forecaster.load(fitted.folder)
        summary, choices = forecaster.summary, [*forecaster.choices, *_changed_bounds(forecaster, panel, forecast)]
        bounds = forecaster.bounds(panel, forecast)
        ask = partial(forecaster.predict, quantiles_of=quantiles_of())
        tonight, word = reconciled(ask(panel, forecast), panel, levels, ask, forecast, bounds)
        choices += [word] if word else []
    parts = (
        forecast_rows(part, panel, places.job, cutoff, fitted.version, run_id, created_at)
        for part in with_upper_levels(_parts(tonight), panel, levels, bounds, seed)
    )
    reasons = Counter(str(reason) for reason in tonight.reason if reason)
    file = save_night(parts, panel_file.with_name("forecast.parquet"))
    return Predicted(file, len(panel), dict(reasons.most_common()), summary, choices)


def _changed_bounds(forecaster: Forecaster, panel: Panel, forecast: ForecastSettings) -> list[str]:
    """Bounds that hold tonight instead of those that the network was trained under, in words."""
    then, now = forecaster.bounds(panel, forecaster.forecast), forecaster.bounds(panel, forecast)
    return [
        f"{name} {'none' if new is None else f'{new:g}'}, as the job says now; "
        f"{'none' if old is None else f'{old:g}'} when the network was trained"
        for name, old, new in zip(("lower_bound", "upper_bound"), then, now, strict=True)
        if old != new
    ]


def fallback_forecast(panel: Panel, forecast: ForecastSettings, reason: str) -> Forecast:
    """The fallback for every series, each with the reason why it was refused, or the one for all."""
    levels = np.array(sorted({*forecast.quantile_levels, 0.5}))
    quantiles, mean = fallback(panel, forecast.horizon, levels, forecast.lower_bound, forecast.upper_bound)
    return Forecast(
        series_ids=panel.series_ids,
        quantile_levels=levels,
        quantiles=quantiles,
        mean=mean,
        baseline=seasonal_naive(panel, forecast.horizon, panel.season_lengths[0]),
        source=np.full(len(panel), "fallback"),
        reason=np.array([panel.refused.get(str(name), reason) for name in panel.series_ids]),
    )


def _parts(tonight: Forecast) -> Iterator[Forecast]:
    """The forecast, some series at a time: laid out as rows, all of them at once would weigh most of a night."""
    series = max(1, _PART_ROWS // tonight.mean.shape[1])
    for first in range(0, len(tonight.series_ids), series):
        yield tonight.of(slice(first, first + series))


def forecast_rows(
    tonight: Forecast,
    panel: Panel,
    job: str,
    cutoff: datetime,
    version: str,
    run_id: str,
    created_at: datetime,
) -> pa.Table:
    """Rows of the table `forecast`, series by series and step by step; NaN, no version and no reason become null."""
    series, horizon = tonight.mean.shape
    count = series * horizon
    ahead = TimeGrid(panel.frequency, panel.time_zone).to_utc(panel.cutoff_index + 1 + np.arange(horizon))
    instant = pa.timestamp("us", "UTC")

    def of_series(values: npt.NDArray[Any]) -> pa.Array:
        labels, codes = np.unique(values.astype(str), return_inverse=True)
        return pa.array(labels.tolist(), pa.string()).take(pa.array(np.repeat(codes, horizon)))

    def where_said(values: npt.NDArray[Any]) -> pa.Array:
        texts = of_series(values)
        return pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts)

    def same(value: object, kind: pa.DataType) -> pa.Array:
        return pa.repeat(pa.scalar(value, kind), count)

    columns = {
        "job": same(job, pa.string()),
        "series_id": of_series(tonight.series_ids),
        "cutoff": same(cutoff, instant),
        "step": pa.array(np.tile(np.arange(1, horizon + 1), series), pa.int32()),
        "timestamp": pa.array(np.tile(ahead, series)).cast(pa.timestamp("us")).cast(instant),
        "mean": pa.array(tonight.mean.ravel(), from_pandas=True),
        "median": pa.array(tonight.median.ravel(), from_pandas=True),
        "baseline": pa.array(tonight.baseline.ravel(), from_pandas=True),
        "model_version": where_said(np.where(tonight.source == "model", version, "")),
        "source": of_series(tonight.source),
        "reason": where_said(tonight.reason),
        "run_id": same(run_id, pa.string()),
        "created_at": same(created_at, instant),
    }
    for position, level in enumerate(tonight.quantile_levels):
        columns[quantile_column(float(level))] = pa.array(tonight.quantiles[:, :, position].ravel(), from_pandas=True)
    return pa.table(columns)
