"""Forecast one shard of the series, and lay it out as rows of the table `forecast`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from models.arrays import AnyArray, FloatArray, StringArray
from models.baselines.fallback import Fallback
from models.baselines.seasonal_naive import seasonal_naive
from models.calendar.grid import TimeGrid
from models.calibration.calibration import Calibration
from models.network.forecaster import Forecaster
from models.panel.forecast import Forecast
from models.panel.panel import Panel
from models.settings.forecast import ForecastSettings
from sql.output.quantile_columns import is_quantile_column, quantile_column, quantile_level

_PART_ROWS = 250_000
"""Rows of the table `forecast` in one row group, at most."""


@dataclass(frozen=True)
class Tonight:
    """What all rows of a night have in common.

    Attributes:
        job: The job's name.
        cutoff: Last timestamp that the forecast saw.
        version: The model's version; "" for none.
        run_id: The run.
        created_at: When the run began.
        no_model: Why series that nothing else is said of get the fallback, where there is no model.
    """

    job: str
    cutoff: datetime
    version: str
    run_id: str
    created_at: datetime
    no_model: str = "no model"


def shard_parts(
    shard: Panel,
    instead: Fallback,
    forecaster: Forecaster | None,
    calibration: Calibration | None,
    tonight: Tonight,
) -> Iterator[pa.Table]:
    """Forecast a shard; its rows come in parts, since all at once would weigh more than the forecast itself.

    Args:
        shard: The series.
        instead: Their part of the whole panel's fallback.
        forecaster: Tonight's model; None leaves every series to the fallback.
        calibration: That of these series; None leaves the model's quantiles as they are.
        tonight: What the rows have in common.

    Raises:
        ModelError: where the model is not one of this panel's grid.
    """
    if forecaster is None:
        forecast = fallback_forecast(shard, instead, tonight.no_model)
    else:
        forecast = forecaster.predict_shard(shard, instead)
        forecast = forecast if calibration is None else calibration.calibrated(forecast)
    yield from row_parts(forecast, shard, tonight)


def row_parts(forecast: Forecast, panel: Panel, tonight: Tonight) -> Iterator[pa.Table]:
    """The rows of a forecast, some series at a time; `panel` tells the grid."""
    count, horizon = forecast.mean.shape
    series = max(1, _PART_ROWS // horizon)
    for first in range(0, count, series):
        yield forecast_rows(forecast.of(slice(first, first + series)), panel, tonight)


def bare_fallback(panel: Panel, forecast: ForecastSettings) -> Fallback:
    """The fallback of a whole panel where there is no model, within the bounds that the job names."""
    levels = sorted({*forecast.quantile_levels, 0.5})
    return Fallback.learn(panel, forecast.horizon, levels, forecast.lower_bound, forecast.upper_bound)


def fallback_forecast(panel: Panel, instead: Fallback, reason: str) -> Forecast:
    """The fallback for every series, each with the reason why it was refused, or the one for all."""
    quantiles, mean = instead.forecast(panel)
    return Forecast(
        series_ids=panel.series_ids,
        quantile_levels=instead.quantile_levels,
        quantiles=quantiles,
        mean=mean,
        baseline=seasonal_naive(panel, instead.horizon, panel.season_lengths[0]),
        source=np.full(len(panel), "fallback"),
        reason=np.array([panel.refused.get(str(name), reason) for name in panel.series_ids]),
    )


def forecast_rows(forecast: Forecast, panel: Panel, tonight: Tonight) -> pa.Table:
    """Rows of the table `forecast`, series by series and step by step; NaN, no version and no reason become null."""
    series, horizon = forecast.mean.shape
    count = series * horizon
    ahead = TimeGrid(panel.frequency, panel.time_zone).to_utc(panel.cutoff_index + 1 + np.arange(horizon))
    instant = pa.timestamp("us", "UTC")

    def of_series(values: AnyArray) -> pa.Array:
        labels, codes = np.unique(values.astype(str), return_inverse=True)
        return pa.array(labels.tolist(), pa.string()).take(pa.array(np.repeat(codes, horizon)))

    def where_said(values: AnyArray) -> pa.Array:
        texts = of_series(values)
        return pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts)

    def same(value: object, kind: pa.DataType) -> pa.Array:
        return pa.repeat(pa.scalar(value, kind), count)

    columns = {
        "job": same(tonight.job, pa.string()),
        "series_id": of_series(forecast.series_ids),
        "cutoff": same(tonight.cutoff, instant),
        "step": pa.array(np.tile(np.arange(1, horizon + 1), series), pa.int32()),
        "timestamp": pa.array(np.tile(ahead, series)).cast(pa.timestamp("us")).cast(instant),
        "mean": pa.array(forecast.mean.ravel(), from_pandas=True),
        "median": pa.array(forecast.median.ravel(), from_pandas=True),
        "baseline": pa.array(forecast.baseline.ravel(), from_pandas=True),
        "model_version": where_said(np.where(forecast.source == "model", tonight.version, "")),
        "source": of_series(forecast.source),
        "reason": where_said(forecast.reason),
        "run_id": same(tonight.run_id, pa.string()),
        "created_at": same(tonight.created_at, instant),
    }
    for position, level in enumerate(forecast.quantile_levels):
        columns[quantile_column(float(level))] = pa.array(forecast.quantiles[:, :, position].ravel(), from_pandas=True)
    return pa.table(columns)


def forecast_of_rows(rows: pa.Table) -> Forecast:
    """The forecast that `forecast_rows` laid out, of whole series one after the other."""
    horizon = int(pc.max(rows["step"]).as_py())
    names = [name for name in rows.column_names if is_quantile_column(name)]

    def numbers(name: str) -> FloatArray:
        return np.asarray(pc.fill_null(rows[name], float("nan")).to_numpy(), np.float64).reshape(-1, horizon)

    def words(name: str) -> StringArray:
        return np.array(pc.fill_null(rows[name].filter(pc.equal(rows["step"], 1)), "").to_pylist(), dtype=str)

    return Forecast(
        series_ids=words("series_id"),
        quantile_levels=np.array([quantile_level(name) for name in names]),
        quantiles=np.stack([numbers(name) for name in names], axis=-1),
        mean=numbers("mean"),
        baseline=numbers("baseline"),
        source=words("source"),
        reason=words("reason"),
    )
