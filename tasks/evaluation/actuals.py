"""Store the actuals of published forecasts, as tonight's evaluation sees them, and the anomalies among them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd
import pyarrow as pa

from models.arrays import BoolArray, Float32Array, IntArray
from models.hierarchy.history import REACH_SEASONS
from models.panel.panel import Panel
from tasks.evaluation.anomalies import NewActuals, judge_actuals
from tasks.evaluation.nights_due import NightDue, due_tonight
from tasks.evaluation.stored_night import number_column, positions_of_series
from tasks.forecasting.aggregates import merge_aggregates
from tasks.night.night import Night
from tasks.reading.read_series import as_of
from tasks.step import step
from tasks.store.panel_file import load_panel


@step("store the actuals that have arrived", retries=2, retry_delay_seconds=(2, 10))
def store_actuals(night: Night, panel_file: Path, rows_file: Path) -> int:
    """Bring the table `actual` up to date for the nights that tonight's evaluation scores, see `nights_due`.

    What is new is judged, see `judge_actuals`, and both are stored in one transaction.
    An actual that was revised is replaced, and one that the source no longer has is deleted. A past night that runs
    again as of its own time only adds actuals that are lacking: what later nights saw is newer.

    Args:
        night: Tonight.
        panel_file: Tonight's history.
        rows_file: The rows from which it was built.

    Returns:
        The number of rows written.
    """
    panel = load_panel(panel_file)
    _, due = due_tonight(night, panel, rows_file)
    arrived = _Arrived.of(panel, due, night)
    if not len(arrived.index):
        return 0
    stored = arrived.stored(night)
    known, held = ~np.isnan(arrived.values), ~np.isnan(stored)
    lacking, outdated = known & ~held, held & (stored != arrived.values)
    if as_of(rows_file) and night.is_past:
        outdated[:] = False
    keys = arrived.rows(outdated, night).select(["job", "timestamp", "series_id"])
    judged = judge_actuals(night, NewActuals(arrived.panel, arrived.index, arrived.values, lacking, outdated))
    return night.ledger.keep_actuals(arrived.rows(lacking | (outdated & known), night), keys, judged)


@dataclass(frozen=True)
class _Arrived:
    """The actuals of the steps that some nights forecast.

    Attributes:
        panel: The series and aggregates.
        index: Shape (step,), the grid positions of those steps up to the cutoff, oldest first.
        values: Shape (step, series), float32; NaN where not observed.
    """

    panel: Panel
    index: IntArray
    values: Float32Array

    @classmethod
    def of(cls, panel: Panel, due: Sequence[NightDue], night: Night) -> Self:
        """What has arrived for some nights; a night of another time grid has no steps on this one."""
        ends = [each.publication[end] for each in due for end in ("first_timestamp", "last_timestamp")]
        position, on_grid = panel.grid.to_index(pd.DatetimeIndex(ends, tz="UTC"))
        steps = {
            step
            for (first, last), fits in zip(position.reshape(-1, 2).tolist(), on_grid.reshape(-1, 2), strict=True)
            if fits.all()
            for step in range(first, min(last, panel.cutoff_index) + 1)
        }
        index = np.array(sorted(steps), np.int64)
        span = panel.cutoff_index + 1 - min(steps, default=panel.cutoff_index + 1)
        # What stands in for a missing part of an aggregate lies so far back.
        newest = panel.newest(span + (REACH_SEASONS + 1) * panel.season_lengths[0])
        both, _ = merge_aggregates(newest, {}, night.job.aggregation_levels)
        values = both.tail(span)[:, index - (panel.cutoff_index + 1 - span)].T
        return cls(both, index, np.ascontiguousarray(values))

    def stored(self, night: Night) -> Float32Array:
        """The stored actuals in the shape of `values`; NaN where there is none."""
        first, last = (self.panel.grid.instant(int(self.index[end])) for end in (0, -1))
        rows = night.ledger.actuals_between(first, last)
        index, on_grid = self.panel.grid.to_index(pd.DatetimeIndex(rows["timestamp"].to_numpy(), tz="UTC"))
        series, step = positions_of_series(rows, self.panel), np.searchsorted(self.index, index)
        step = np.minimum(step, len(self.index) - 1)
        held = on_grid & (series >= 0) & (self.index[step] == index)
        stored = np.full(self.values.shape, np.nan, np.float32)
        stored[step[held], series[held]] = number_column(rows, "value")[held]
        return stored

    def rows(self, chosen: BoolArray, night: Night) -> pa.Table:
        """Rows of the table `actual`, in the order of its key; `chosen` has the shape of `values`."""
        step, series = np.nonzero(chosen)
        instants = pa.array(self.panel.grid.to_utc(self.index)).cast(pa.timestamp("us")).cast(_INSTANT)
        # The shortest digits that give the same float32: 14.1, and not 14.100000381.
        digits = pa.array(self.values[step, series]).cast(pa.string())
        return pa.table(
            {
                "job": pa.repeat(pa.scalar(night.job.name, pa.string()), len(step)),
                "timestamp": instants.take(pa.array(step)),
                "series_id": pa.array(self.panel.series_ids.tolist(), pa.string()).take(pa.array(series)),
                "value": digits.cast(pa.float64()),
                "evaluated_on": pa.repeat(pa.scalar(night.cutoff, _INSTANT), len(step)),
            }
        )


_INSTANT = pa.timestamp("us", "UTC")
