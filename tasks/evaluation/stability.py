"""How much tonight's forecasts differ from those of the night before, of the same days."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from models.arrays import BoolArray, FloatArray, IntArray
from models.calendar.grid import TimeGrid
from models.evaluation.point_errors import ERROR_CAP
from models.evaluation.scales import usable_scale
from models.metrics.stability import changes, instability_scores, mean_change
from models.panel.panel import Panel, places_of
from sql.output import history
from tasks.store.places import Places

Segments = Mapping[str, BoolArray]


@dataclass(frozen=True)
class Revision:
    """Changes since the night before, in units of each series' seasonal error.

    Attributes:
        model: Shape (series, horizon), of the forecasts; NaN where the two nights share no day.
        naive: The same of the seasonal naive beside them.
    """

    model: FloatArray
    naive: FloatArray

    def of(self, mask: BoolArray) -> float:
        """The mean change of a segment, each point capped at `ERROR_CAP`; NaN where the nights share no day."""
        return mean_change(np.minimum(self.model[mask], ERROR_CAP))

    def rows(self, job: str, cutoff: datetime, segments: Segments) -> list[dict[str, Any]]:
        """Rows of the table `score`."""
        key = {"job": job, "cutoff": cutoff, "model_version": None}
        return [
            {**key, "segment": segment, **figure._asdict()}
            for segment, mask in segments.items()
            for figure in instability_scores(self.model, self.naive, mask)
        ]


def instability_tonight(
    places: Places,
    panel: Panel,
    grid: TimeGrid,
    published: Sequence[Mapping[str, Any]],
    cutoff: datetime,
    scale: FloatArray,
    forecast_file: Path | None,
) -> Revision | None:
    """Tonight's forecasts beside those of the newest published night before.

    Args:
        places: Where the job's tables lie.
        panel: Tonight's history, whose series are compared.
        grid: Its time grid.
        published: The job's publications, oldest first.
        cutoff: Tonight's.
        scale: Shape (series,), seasonal errors as tonight knows them.
        forecast_file: Tonight's rows, a file of `save_night`; those of the table where None.

    Returns:
        None where nothing was published tonight or before, where the two nights share no day, or where the earlier one
        was of another time grid.
    """
    before = [night for night in published if night["cutoff"] < cutoff]
    if not before or not (forecast_file or any(night["cutoff"] == cutoff for night in published)):
        return None
    ends = pd.DatetimeIndex([before[-1][end] for end in ("cutoff", "first_timestamp", "last_timestamp")])
    (index, first, last), on_grid = grid.to_index(ends)
    gap = int(panel.cutoff_index - index)
    if not on_grid.all() or first != index + 1 or last <= panel.cutoff_index:
        return None
    if forecast_file is None:
        rows = history.points_of(places.engine(), places.job, cutoff)
    else:
        rows = pq.read_table(forecast_file, columns=["series_id", "step", "median", "baseline"], partitioning=None)
    tonight = _lay_out(rows, panel)
    unit = usable_scale(scale, tonight[0])
    of_then = history.points_of(places.engine(), places.job, before[-1]["cutoff"])
    if pc.max(of_then["step"]).as_py() != last - index:
        return None
    earlier = _lay_out(of_then, panel)
    model, naive = (changes(now, then, gap, unit) for now, then in zip(tonight, earlier, strict=True))
    return Revision(model, naive)


def _lay_out(rows: pa.Table, panel: Panel) -> tuple[FloatArray, FloatArray]:
    """Medians and baselines of a night's rows, both of shape (series, horizon)."""
    series, step = series_of(rows, panel), rows["step"].to_numpy()
    here = series >= 0
    laid = []
    for name in ("median", "baseline"):
        found = np.full((len(panel), int(step.max(initial=1))), np.nan)
        found[series[here], step[here] - 1] = numbers(rows, name)[here]
        laid.append(found)
    return laid[0], laid[1]


def series_of(rows: pa.Table, panel: Panel) -> IntArray:
    """The place in the panel of each row's series, shape (row,); -1 where it is not there."""
    ids = pc.dictionary_encode(rows["series_id"].cast(pa.string()).combine_chunks())
    names = np.asarray(ids.dictionary.to_pylist(), dtype=str)
    return np.asarray(places_of(names, panel.series_ids)[ids.indices.to_numpy(zero_copy_only=False)], np.int64)


def numbers(rows: pa.Table, name: str) -> FloatArray:
    """A column of numbers, NaN where null; shape (row,)."""
    return np.asarray(pc.fill_null(rows[name].cast(pa.float64()), float("nan")).to_numpy(), np.float64)
