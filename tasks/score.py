"""Judge forecasts whose actuals have arrived: metrics per night, and tonight's loss per segment."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from models.history_summary import Window
from models.levels import Levels
from models.metrics import evaluate
from models.panel import Panel
from models.scoring import EveningLoss, PastNight, evening_losses, newly_realised, place_night, scales_at, segments_of
from models.settings import MonitorSettings
from models.time_grid import TimeGrid
from sql import history, write
from sql.tables import is_quantile_column, quantile_level
from tasks.panel_store import load_panel
from tasks.places import Places
from tasks.read_series import as_of, recorded_since
from tasks.step import logger, step
from tasks.upper_levels import beside_upper_levels


@dataclass(frozen=True)
class Scored:
    """Tonight's judgement.

    Attributes:
        scores: Rows written to the table `score`.
        losses: Segment to its loss over the points that came true since the evening before.
        newest: Cutoff of the newest night that could be scored; None where none could.
    """

    scores: list[dict[str, Any]]
    losses: dict[str, EveningLoss]
    newest: datetime | None

    @property
    def newest_scores(self) -> list[dict[str, Any]]:
        """Over all steps of the newest night that could be scored."""
        return [row for row in self.scores if row["cutoff"] == self.newest and row["step"] == 0]


@step("score past forecasts", retries=2, retry_delay_seconds=(2, 10))
def score(
    places: Places,
    panel_file: Path,
    rows_file: Path,
    monitor: MonitorSettings,
    cutoff: datetime,
    levels: Levels,
    window: Window | None = None,
) -> Scored:
    """Score every night that has a step in the part of the past that is judged tonight.

    That part is `monitor.rescore_steps` long; where it is left open, one season, and all that was recorded since the
    evening before. Each of the job's `levels` is a segment of its own. `window` is that of the panel where
    it is not whole.
    """
    panel = load_panel(panel_file)
    panel, segments = beside_upper_levels(panel, segments_of(panel, monitor.segments), levels)
    grid = TimeGrid(panel.frequency, panel.time_zone)
    before = last_evening(places, cutoff, grid, panel.cutoff_index)
    window_start = min(before, panel.cutoff_index - (monitor.rescore_steps or panel.season_lengths[0]))
    if monitor.rescore_steps is None:
        window_start = min(window_start, before_what_is_new(rows_file, grid, before))
    published = history.publications(places.engine(), places.job)
    judged = nights_to_judge(panel, grid, published, window_start)
    scales = scales_at(panel, panel.season_lengths[0], [index for _, index in judged], window)
    rows, points = list[dict[str, Any]](), list[npt.NDArray[np.float64]]()
    # One night at a time: each weighs as much as the panel, and a month of them many times that.
    for (publication, index), scale in zip(judged, scales, strict=True):
        night = past_night(places, panel, grid, publication, index)
        if night is None:
            continue
        points.append(newly_realised(night, scale, before))
        rows += [
            {"job": places.job, "cutoff": grid.instant(index), "segment": segment, **row}
            for segment, mask in segments.items()
            for row in metric_rows(night, scale, mask)
        ]
    is_past = any(night["cutoff"] > cutoff for night in published)
    write.upsert_scores(places.engine(), without_fewer_actuals(places, rows, as_of(rows_file)) if is_past else rows)
    newest = max((row["cutoff"] for row in rows), default=None)
    return Scored(rows, evening_losses(points, segments), newest)


def last_evening(places: Places, cutoff: datetime, grid: TimeGrid, cutoff_index: int) -> int:
    """Grid position up to which losses were taken before tonight; the first night's cutoff where never."""
    earlier = [row["evaluated_on"] for row in history.losses(places.engine(), places.job) if row["n"]]
    earlier = [moment for moment in earlier if moment < cutoff]
    if earlier:
        return grid.position(max(earlier))
    nights = [row["cutoff"] for row in history.publications(places.engine(), places.job) if row["cutoff"] < cutoff]
    return grid.position(min(nights)) if nights else cutoff_index


def before_what_is_new(rows_file: Path, grid: TimeGrid, before: int) -> int:
    """Grid position before the oldest step with a row that the evening `before` may not have known."""
    # Its night ran at the instant of its cutoff at the earliest.
    oldest = recorded_since(rows_file, grid.instant(before), ZoneInfo(grid.time_zone))
    return before if oldest is None else grid.position(oldest) - 1


def nights_to_judge(
    panel: Panel, grid: TimeGrid, published: list[dict[str, Any]], window_start: int
) -> list[tuple[dict[str, Any], int]]:
    """Publications with a realised step after grid position `window_start`, oldest first, and their cutoffs."""
    found = []
    for row in published:
        index, last = grid.position(row["cutoff"]), grid.position(row["last_timestamp"])
        if index < panel.cutoff_index and last > window_start:
            found.append((row, index))
    return found


def past_night(places: Places, panel: Panel, grid: TimeGrid, published: dict[str, Any], index: int) -> PastNight | None:
    """A published night beside what came true; None where nothing of it is left.

    None too for a night of another grid (the job had another frequency or time zone then): its steps are not this
    grid's.
    """
    realised = panel.cutoff_index - index
    stored = history.figures_of(places.engine(), places.job, published["cutoff"], last_step=realised)
    if not stored.num_rows:  # cleared away by somebody, as old nights may be
        return None
    # Every series has every step, so the rows left out tell the night's own horizon.
    horizon = int(pc.max(stored["step"]).as_py()) * published["rows"] // stored.num_rows
    ends = [published[end] for end in ("cutoff", "first_timestamp", "last_timestamp")]
    position, on_grid = grid.to_index(pd.DatetimeIndex(ends))
    if on_grid.all() and position.tolist() == [index, index + 1, index + horizon]:
        return read_night(stored, panel, index)
    logger().info("The night of %s was of another time grid, and is not scored.", published["cutoff"])
    return None


def without_fewer_actuals(places: Places, rows: list[dict[str, Any]], older_actuals: bool) -> list[dict[str, Any]]:
    """The rows that know at least as many actuals as the stored ones of the same key.

    A past night run again sees less than later nights have seen, and must not undo their scores. With
    `older_actuals` it may see as many, but before they were revised: then only more of them are news.
    """
    key = operator.itemgetter("cutoff", "segment", "step", "metric")
    stored = {
        key(row): row["n"]
        for cutoff in {row["cutoff"] for row in rows}
        for row in history.scores(places.engine(), places.job, cutoff=cutoff)
    }
    return [row for row in rows if row["n"] >= stored.get(key(row), 0) + older_actuals]


def read_night(stored: pa.Table, panel: Panel, cutoff_index: int) -> PastNight:
    """One night's rows, from `history.figures_of`, beside the panel's actuals."""
    levels = {
        quantile_level(name): name
        for name in stored.column_names
        if is_quantile_column(name) and stored[name].null_count < stored.num_rows
    }
    ids = pc.dictionary_encode(stored["series_id"].cast(pa.string()).combine_chunks())
    names = np.asarray(ids.dictionary.to_pylist(), dtype=str)
    position = np.clip(np.searchsorted(panel.series_ids, names), 0, len(panel) - 1)
    position = np.where(panel.series_ids[position] == names, position, -1)
    steps = stored["step"].to_numpy()
    return place_night(
        panel,
        cutoff_index,
        horizon=int(steps.max()),
        series=position[ids.indices.to_numpy(zero_copy_only=False)],
        step=steps,
        quantile_levels=sorted(levels),
        quantiles=np.column_stack([_numbers(stored, levels[level]) for level in sorted(levels)]),
        median=_numbers(stored, "median"),
        baseline=_numbers(stored, "baseline"),
    )


def metric_rows(night: PastNight, scale: npt.NDArray[np.float64], mask: npt.NDArray[np.bool_]) -> list[dict[str, Any]]:
    """Every metric of one night and segment, per step and (step 0) over all; none where nothing came true."""
    if not night.realised[mask].any():
        return []
    # The mask of all series would copy the night.
    mine = slice(None) if mask.all() else mask
    figures = evaluate(
        night.actual[mine], night.quantiles[mine], night.quantile_levels, scale[mine], night.baseline[mine]
    )
    return [figure._asdict() for figure in figures if figure.n]


def _numbers(rows: pa.Table, name: str) -> npt.NDArray[np.float64]:
    return np.asarray(pc.fill_null(rows[name].cast(pa.float64()), float("nan")).to_numpy(), np.float64)
