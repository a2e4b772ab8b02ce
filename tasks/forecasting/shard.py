"""How a shard of the series is forecast, and how a forecast becomes rows of the table `forecast`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from models.arrays import AnyArray, FloatArray, StringArray
from models.baselines.fallback import Fallback
from models.baselines.seasonal_naive import seasonal_naive
from models.calibration.calibration import Calibration
from models.network.forecaster import Forecaster
from models.panel.forecast import Forecast
from models.panel.panel import Panel
from models.settings.forecast import ForecastSettings
from sql.output.quantile_columns import is_quantile_column, quantile_column, quantile_level

_PART_ROWS = 250_000
"""The most rows of the table `forecast` in one row group."""


@dataclass(frozen=True)
class CommonColumns:
    """The columns that are the same in all forecast rows of a night.

    Attributes:
        job: The job's name.
        cutoff: The last timestamp that the forecast saw.
        version: The model's version; "" if there is no model.
        run_id: The run.
        created_at: When the run began.
    """

    job: str
    cutoff: datetime
    version: str
    run_id: str
    created_at: datetime


@dataclass(frozen=True)
class Method:
    """How series are forecast: by the model if there is one, and by the fallback otherwise.

    Attributes:
        fallback: The fallback of these series.
        forecaster: Tonight's model; None leaves every series to the fallback.
        calibration: The calibration of these series; None leaves the model's quantiles as they are.
        no_model: Why there is no model: the reason of series that have no other one.
    """

    fallback: Fallback
    forecaster: Forecaster | None = None
    calibration: Calibration | None = None
    no_model: str = "no model"

    def of(self, series: slice) -> Method:
        """The method for some of the series."""
        calibration = None if self.calibration is None else self.calibration.of(series)
        return replace(self, fallback=self.fallback.of(series), calibration=calibration)

    def forecast(self, panel: Panel) -> Forecast:
        """Forecast these series.

        Raises:
            ModelError: the model was made for another time grid than the panel's.
        """
        if self.forecaster is None:
            return fallback_forecast(panel, self.fallback, self.no_model)
        forecast = self.forecaster.predict_shard(panel, self.fallback)
        return forecast if self.calibration is None else self.calibration.calibrated(forecast)


def row_parts(forecast: Forecast, panel: Panel, columns: CommonColumns) -> Iterator[pa.Table]:
    """The rows of a forecast in parts, since all at once would take more memory than the forecast itself.

    Args:
        forecast: Of any series on the panel's time grid.
        panel: Gives the time grid and the cutoff.
        columns: What all rows have in common.

    Yields:
        Rows of whole series.
    """
    count, horizon = forecast.mean.shape
    series = max(1, _PART_ROWS // horizon)
    for first in range(0, count, series):
        yield forecast_rows(forecast.of(slice(first, first + series)), panel, columns)


def bare_fallback(panel: Panel, forecast: ForecastSettings) -> Fallback:
    """The fallback of a whole panel if there is no model, within the bounds of the job."""
    levels = sorted({*forecast.quantile_levels, 0.5})
    return Fallback.learn(panel, forecast.horizon, levels, forecast.lower_bound, forecast.upper_bound)


def fallback_forecast(panel: Panel, fallback: Fallback, reason: str) -> Forecast:
    """The fallback for every series, each with the reason why the panel refused it, or with the given reason."""
    quantiles, mean = fallback.forecast(panel)
    return Forecast(
        series_ids=panel.series_ids,
        quantile_levels=fallback.quantile_levels,
        quantiles=quantiles,
        mean=mean,
        baseline=seasonal_naive(panel, fallback.horizon, panel.season_lengths[0]),
        source=np.full(len(panel), "fallback"),
        reason=np.array([panel.refused.get(str(name), reason) for name in panel.series_ids]),
    )


def forecast_rows(forecast: Forecast, panel: Panel, common: CommonColumns) -> pa.Table:
    """Rows of the table `forecast`, series by series and step by step; NaN and empty texts become null."""
    series, horizon = forecast.mean.shape
    count = series * horizon
    index = panel.cutoff_index + 1 + np.arange(horizon)
    ahead, on_clock = panel.grid.to_utc(index), panel.grid.to_local(index).to_numpy()
    instant = pa.timestamp("us", "UTC")

    def of_series(values: AnyArray) -> pa.Array:
        labels, codes = np.unique(values.astype(str), return_inverse=True)
        return pa.array(labels.tolist(), pa.string()).take(pa.array(np.repeat(codes, horizon)))

    def or_null(values: AnyArray) -> pa.Array:
        texts = of_series(values)
        return pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts)

    def same(value: object, kind: pa.DataType) -> pa.Array:
        return pa.repeat(pa.scalar(value, kind), count)

    columns = {
        "job": same(common.job, pa.string()),
        "series_id": of_series(forecast.series_ids),
        "cutoff": same(common.cutoff, instant),
        "step": pa.array(np.tile(np.arange(1, horizon + 1), series), pa.int32()),
        "timestamp": pa.array(np.tile(ahead, series)).cast(pa.timestamp("us")).cast(instant),
        "mean": pa.array(forecast.mean.ravel(), from_pandas=True),
        "median": pa.array(forecast.median.ravel(), from_pandas=True),
        "baseline": pa.array(forecast.baseline.ravel(), from_pandas=True),
        "model_version": or_null(np.where(forecast.source == "model", common.version, "")),
        "source": of_series(forecast.source),
        "reason": or_null(forecast.reason),
        "run_id": same(common.run_id, pa.string()),
        "created_at": same(common.created_at, instant),
        "local_time": pa.array(np.tile(on_clock, series)).cast(pa.timestamp("us")),
    }
    for position, level in enumerate(forecast.quantile_levels):
        columns[quantile_column(float(level))] = pa.array(forecast.quantiles[:, :, position].ravel(), from_pandas=True)
    return pa.table(columns)


def forecast_of_rows(rows: pa.Table) -> Forecast:
    """The forecast whose rows these are; the inverse of `forecast_rows`, for whole series one after the other."""
    horizon = int(pc.max(rows["step"]).as_py())
    names = [name for name in rows.column_names if is_quantile_column(name)]

    def numbers(name: str) -> FloatArray:
        return np.asarray(pc.fill_null(rows[name], float("nan")).to_numpy(), np.float64).reshape(-1, horizon)

    def texts(name: str) -> StringArray:
        return np.array(pc.fill_null(rows[name].filter(pc.equal(rows["step"], 1)), "").to_pylist(), dtype=str)

    return Forecast(
        series_ids=texts("series_id"),
        quantile_levels=np.array([quantile_level(name) for name in names]),
        quantiles=np.stack([numbers(name) for name in names], axis=-1),
        mean=numbers("mean"),
        baseline=numbers("baseline"),
        source=texts("source"),
        reason=texts("reason"),
    )
