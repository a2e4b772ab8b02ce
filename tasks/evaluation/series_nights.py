"""What the published nights forecast for one series, beside its actuals."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from models.arrays import BoolArray
from models.calendar.grid import TimeGrid
from models.evaluation.past_night import PastNight
from models.evaluation.scales import scales_at
from models.evaluation.segments import watched_segments
from models.evaluation.series_errors import SeriesErrors
from models.hierarchy.hierarchy import Hierarchy
from models.hierarchy.history import aggregate_panel
from models.panel.panel import Panel, places_of
from tasks.evaluation.stored_night import forecast_rows
from tasks.night.job import Job
from tasks.night.ledger import Ledger
from tasks.store.panel_file import load_panel
from tasks.store.past_forecasts import PastForecast, PastForecasts, interval_of, spread_nights


class SeriesNights(NamedTuple):
    """One series on one night.

    Attributes:
        panel: Its history as that night saw it.
        tonight: Its rows of `forecast`, by step.
        past: What the nights before forecast for it, and its errors.
    """

    panel: Panel
    tonight: pa.Table
    past: PastForecasts


def read_series_nights(
    job: Job, ledger: Ledger, panel_file: Path, publication: Mapping[str, Any], series_id: str
) -> SeriesNights:
    """One series on a published night, with the nights of a horizon before it.

    Args:
        job: Names aggregates and segments.
        ledger: The job's.
        panel_file: The history of all series as of the night.
        publication: The row of the night.
        series_id: A series that the night forecast.
    """
    panel, segments = _panel_of(load_panel(panel_file), series_id, job)
    grid, cutoff = panel.grid, publication["cutoff"]
    rows = ledger.forecasts_of_series(series_id, grid.instant(panel.cutoff_index - 2 * panel.horizon), cutoff)
    earlier = [moment for moment in pc.unique(rows["cutoff"]).to_pylist() if moment < cutoff]
    nights = [night for moment in earlier if (night := _past_night(_of(rows, moment), panel)) is not None]
    nights = [night for night in nights if night.realised.any()]
    errors = SeriesErrors.none(1)
    positions = [night.cutoff_index for night in nights]
    for night, scale in zip(nights, scales_at(panel, panel.season_lengths[0], positions), strict=True):
        errors.add(night, scale, panel.cutoff_index)
    shown = spread_nights(positions, 1)
    kept = [PastForecast(night.cutoff_index, interval_of(night)) for night in nights if night.cutoff_index in shown]
    return SeriesNights(panel, _of(rows, cutoff), PastForecasts(panel.series_ids, errors, segments, kept))


def _panel_of(panel: Panel, series_id: str, job: Job) -> tuple[Panel, dict[str, BoolArray]]:
    """The panel of one series or aggregate, and the segments that hold it."""
    [place] = places_of(np.array([series_id]), panel.series_ids).tolist()
    if place >= 0:
        one = slice(place, place + 1)
        watched = watched_segments(panel, job.monitor)
        return panel.part(one), {name: mask[one] for name, mask in watched.items()}
    levels = job.aggregation_levels
    hierarchy = Hierarchy.of(panel.series_ids, levels)
    [place] = places_of(np.array([series_id]), hierarchy.series_ids).tolist()
    level = levels.names[int(hierarchy.aggregation_level[place])]
    return aggregate_panel(panel, hierarchy).part(slice(place, place + 1)), {level: np.ones(1, bool)}


def _of(rows: pa.Table, cutoff: Any) -> pa.Table:
    return rows.filter(pc.equal(rows["cutoff"], pa.scalar(cutoff, rows["cutoff"].type)))


def _past_night(rows: pa.Table, panel: Panel) -> PastNight | None:
    """A night beside the actuals; None where it had another time grid."""
    cutoff_index = _on_grid(rows, panel.grid)
    if cutoff_index is None:
        return None
    return PastNight.of_rows(forecast_rows(rows, panel), panel, cutoff_index, horizon=rows.num_rows)


def _on_grid(rows: pa.Table, grid: TimeGrid) -> int | None:
    """The grid position of a night's cutoff; None where its steps are not those of the grid."""
    moments = pd.DatetimeIndex([rows["cutoff"][0].as_py(), *rows["timestamp"].to_pylist()])
    index, on_grid = grid.to_index(moments)
    return int(index[0]) if on_grid.all() and (np.diff(index) == 1).all() else None
