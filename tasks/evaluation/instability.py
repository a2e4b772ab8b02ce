"""Instability: how much tonight's forecasts differ from those of the night before, of the same days."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from models.arrays import BoolArray, FloatArray
from models.evaluation.point_errors import ERROR_CAP
from models.evaluation.scales import usable_scale
from models.metrics.stability import changes, instability_scores, mean_change
from models.panel.panel import Panel
from tasks.evaluation.stored_night import number_column, positions_of_series
from tasks.night.night import Night


@dataclass(frozen=True)
class Instability:
    """Changes since the night before, in units of each series' scale; NaN where the two nights share no day.

    Attributes:
        model: Shape (series, horizon), of the medians.
        baseline: Shape (series, horizon), of the seasonal naive beside them.
    """

    model: FloatArray
    baseline: FloatArray

    def mean(self, mask: BoolArray) -> float:
        """The mean change of a segment, each point capped at `ERROR_CAP`; NaN where the nights share no day."""
        return mean_change(np.minimum(self.model[mask], ERROR_CAP))

    def scores(self, segments: Mapping[str, BoolArray]) -> list[dict[str, Any]]:
        """Columns of the table `score`, without its job and cutoff; `segments` are masks of shape (series,)."""
        return [
            {"segment": segment, "model_version": None, **score._asdict()}
            for segment, mask in segments.items()
            for score in instability_scores(self.model, self.baseline, mask)
        ]


def instability_tonight(
    night: Night, panel: Panel, scale: FloatArray, forecast_file: Path | None
) -> Instability | None:
    """Tonight's forecasts beside those of the newest published night before.

    Args:
        night: Tonight.
        panel: Tonight's history, whose series are compared.
        scale: Shape (series,), as tonight knows it.
        forecast_file: Tonight's rows, a file of `save_night`; those of the table where None.

    Returns:
        None where nothing was published tonight or before, where the two nights share no day, or where the earlier one
        has another time grid.
    """
    published = night.ledger.publications()
    earlier = [row for row in published if row["cutoff"] < night.cutoff]
    if not earlier or not (forecast_file or any(row["cutoff"] == night.cutoff for row in published)):
        return None
    previous = earlier[-1]
    ends = pd.DatetimeIndex([previous[end] for end in ("cutoff", "first_timestamp", "last_timestamp")])
    (index, first, last), on_grid = panel.grid.to_index(ends)
    if not on_grid.all() or first != index + 1 or last <= panel.cutoff_index:
        return None
    before_rows = night.ledger.points_of(previous["cutoff"])
    if pc.max(before_rows["step"]).as_py() != last - index:
        return None
    tonight, before = _points(_rows_of_tonight(night, forecast_file), panel), _points(before_rows, panel)
    unit, gap = usable_scale(scale, tonight[0]), int(panel.cutoff_index - index)
    model, baseline = (changes(new, old, gap, unit) for new, old in zip(tonight, before, strict=True))
    return Instability(model, baseline)


def _rows_of_tonight(night: Night, forecast_file: Path | None) -> pa.Table:
    if forecast_file is None:
        return night.ledger.points_of(night.cutoff)
    return pq.read_table(forecast_file, columns=["series_id", "step", "median", "baseline"], partitioning=None)


def _points(rows: pa.Table, panel: Panel) -> tuple[FloatArray, FloatArray]:
    """Medians and baselines of a night's rows, both of shape (series, horizon); NaN where there is no row."""
    series, step = positions_of_series(rows, panel), rows["step"].to_numpy()
    held = series >= 0
    cell = series[held], step[held] - 1
    median, baseline = (np.full((len(panel), int(step.max(initial=1))), np.nan) for _ in range(2))
    median[cell], baseline[cell] = number_column(rows, "median")[held], number_column(rows, "baseline")[held]
    return median, baseline
