"""Tonight's forecasts as arrays, from the night's Parquet file or from the rows of a published night."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from models.arrays import BoolArray, FloatArray, StringArray
from sql.output.quantile_columns import is_quantile_column, quantile_level


@dataclass(frozen=True)
class ForecastArrays:
    """The forecasts of some series.

    Attributes:
        series_ids: Shape (series,).
        by_model: Shape (series,); the others got the fallback.
        reasons: Why a series got the fallback; "" for the others.
        quantile_levels: Shape (level,), ascending.
        quantiles: Shape (series, horizon, level).
        median: Shape (series, horizon).
        baseline: Shape (series, horizon), the seasonal naive.
    """

    series_ids: StringArray
    by_model: BoolArray
    reasons: list[str]
    quantile_levels: FloatArray
    quantiles: FloatArray
    median: FloatArray
    baseline: FloatArray

    @property
    def size(self) -> FloatArray:
        """The mean size of the median over the horizon, shape (series,)."""
        return np.asarray(np.abs(self.median).mean(axis=1), np.float64)

    @property
    def relative_width(self) -> FloatArray:
        """The mean width of the widest interval over the size; NaN without interval or size. Shape (series,)."""
        width = (self.quantiles[..., -1] - self.quantiles[..., 0]).mean(axis=1)
        usable = (self.size > 0) & (self.quantile_levels[0] < 0.5 < self.quantile_levels[-1])
        return np.asarray(np.divide(width, self.size, out=np.full(len(width), np.nan), where=usable), np.float64)


def read_forecast(file: Path, ids: StringArray | None = None, *, only_widest: bool = False) -> ForecastArrays:
    """The forecasts of a night's file.

    Args:
        file: From `save_night`.
        ids: Only these series; all where None.
        only_widest: Leave out all quantiles but the lowest and the highest.
    """
    quantiles = sorted(filter(is_quantile_column, pq.read_schema(file).names), key=quantile_level)
    if only_widest:
        quantiles = sorted({quantiles[0], quantiles[-1]}, key=quantile_level)
    columns = ["series_id", "step", "source", "reason", "median", "baseline", *quantiles]
    filters = None if ids is None else [("series_id", "in", ids.tolist())]
    return forecast_arrays(pq.read_table(file, columns=columns, filters=filters, partitioning=None))


def forecast_arrays(rows: pa.Table) -> ForecastArrays:
    """Rows of `forecast`, the steps of each series together, as arrays."""
    is_first = pc.equal(rows["step"], 1)
    first = rows.filter(is_first)
    series = first.num_rows
    names = [name for name in rows.column_names if is_quantile_column(name) and rows[name].null_count < rows.num_rows]
    names = sorted(names, key=quantile_level)

    def laid_out(name: str) -> FloatArray:
        return np.asarray(rows[name].cast(pa.float64()).to_numpy(), np.float64).reshape(series, -1)

    return ForecastArrays(
        series_ids=np.array(first["series_id"].cast(pa.string()).to_pylist(), dtype=str),
        by_model=pc.equal(first["source"], "model").to_numpy(),
        reasons=[reason or "" for reason in first["reason"].to_pylist()],
        quantile_levels=np.array([quantile_level(name) for name in names]),
        quantiles=np.stack([laid_out(name) for name in names], axis=-1),
        median=laid_out("median"),
        baseline=laid_out("baseline"),
    )
