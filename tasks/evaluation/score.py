"""Judge forecasts whose actuals have arrived: metrics per night, and tonight's loss per segment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from models.arrays import BoolArray, FloatArray
from models.calendar.grid import TimeGrid
from models.evaluation.evaluation_loss import EvaluationLoss, losses_of
from models.evaluation.past_night import ForecastRows, PastNight
from models.evaluation.point_errors import ErrorSums, PointErrors
from models.evaluation.scales import scales_at, usable_scale
from models.evaluation.segments import segments_of
from models.evaluation.special_days import SpecialDayCriteria, SpecialDays
from models.evaluation.volume_classes import volume_segments, volumes_drawn_at
from models.hierarchy.aggregation_levels import AggregationLevels
from models.metrics.evaluate import evaluate_segments
from models.panel.history_summary import Window
from models.panel.panel import Panel
from models.settings.forecast import ForecastSettings
from models.settings.monitoring import CalibrationSettings, MonitorSettings
from sql.output import history
from sql.output.quantile_columns import is_quantile_column, quantile_level
from tasks.evaluation.counted_points import Counted, counted_before
from tasks.evaluation.keep_scores import keep_scores
from tasks.evaluation.stability import instability_tonight, numbers, series_of
from tasks.forecasting.aggregates import merge_aggregates
from tasks.forecasting.calibration import Covered
from tasks.reading.read_series import as_of, recorded_since
from tasks.step import logger, step
from tasks.store.panel_file import load_panel
from tasks.store.places import Places


@dataclass(frozen=True)
class Scored:
    """Tonight's judgement.

    Attributes:
        scores: Rows of the table `score`, of all nights that were judged.
        losses: Segment to its loss over the points that came true since the evaluation before, see `counted_points`.
        newest: Cutoff of the newest night that could be scored; None where none could.
    """

    scores: list[dict[str, Any]]
    losses: dict[str, EvaluationLoss]
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
    levels: AggregationLevels,
    forecast: ForecastSettings,
    calibration: CalibrationSettings,
    window: Window | None = None,
    forecast_file: Path | None = None,
) -> Scored:
    """Score every night that has a step in the part of the past that is judged tonight.

    That part is `monitor.rescore_steps` long; where it is left open, one season, and all that was recorded since the
    evaluation before. Each of the job's `levels` is a segment of its own, and so is each version that forecast a night.
    What the evaluation tells of how quantiles cover is kept for later nights' `calibration`.
    `window` is that of the panel where it is not whole, `forecast_file` holds tonight's forecasts where there are new
    ones: how much they differ from those of the night before is a score of tonight.
    """
    panel = below = load_panel(panel_file)
    panel, segments = merge_aggregates(panel, segments_of(panel, monitor.segments), levels)
    grid = TimeGrid(panel.frequency, panel.time_zone)
    counted = counted_before(places, cutoff, grid)
    window_start = min(counted.before, panel.cutoff_index - (monitor.rescore_steps or panel.season_lengths[0]))
    if monitor.rescore_steps is None:
        window_start = min(window_start, before_what_is_new(rows_file, grid, counted.before))
    published = history.publications(places.engine(), places.job)
    judged = nights_to_judge(panel, grid, published, window_start, counted)
    cutoffs = [*(index for _, index in judged), panel.cutoff_index]
    *scales, scale_tonight = scales_at(panel, panel.season_lengths[0], cutoffs, window)
    volumes = _Volumes(panel, segments["all"], monitor)
    tonight = {**segments, **volumes.at(panel.cutoff_index)}
    is_past = any(night["cutoff"] > cutoff for night in published)
    older_actuals = is_past and as_of(rows_file)
    criteria = SpecialDayCriteria.choose(below, kinds_before(places, cutoff))
    special_days = SpecialDays(below, criteria, panel.series_ids)
    rows, sums = list[dict[str, Any]](), ErrorSums.zeros(len(panel))
    covered = Covered(places, panel, forecast, counted.before) if calibration.enabled else None
    # One night at a time: each weighs as much as the panel, and a month of them many times that.
    for (publication, index), scale in zip(judged, scales, strict=True):
        night = past_night(places, panel, grid, publication, index)
        if night is None:
            continue
        after = counted.up_to[publication["cutoff"]]
        errors = PointErrors.of(night, usable_scale(scale, night.actual), special_days, after)
        sums.add(errors, errors.series)
        if covered is not None:
            covered.take(night, after)
        then = {**segments, **volumes.at(index), **night.version_segments(segments["all"])}
        key = {"job": places.job, "cutoff": grid.instant(index)}
        found = [{**key, **row} for row in metric_rows(night, scale, then)]
        keep_scores(places, found, only_more=is_past, older_actuals=older_actuals)
        rows += found
    if covered is not None:
        covered.keep(cutoff, calibration)
    losses = losses_of(sums, tonight, criteria.text)
    instability = instability_tonight(places, panel, grid, published, cutoff, scale_tonight, forecast_file)
    if instability is not None:
        keep_scores(places, instability.rows(places.job, cutoff, tonight))
        losses = {name: replace(loss, instability=instability.of(tonight[name])) for name, loss in losses.items()}
    newest = max((row["cutoff"] for row in rows), default=None)
    return Scored(rows, losses, newest)


class _Volumes:
    """Volume classes as segments, drawn once for all nights that they are the same for."""

    def __init__(self, panel: Panel, among: BoolArray, monitor: MonitorSettings) -> None:
        self._panel, self._among, self._wanted = panel, among, monitor.volume_classes
        self._drawn: dict[int, dict[str, BoolArray]] = {}

    def at(self, cutoff_index: int) -> dict[str, BoolArray]:
        """Those of the night of a cutoff; none where the job does not want them."""
        if not self._wanted:
            return {}
        drawn_at = volumes_drawn_at(self._panel, cutoff_index)
        if drawn_at not in self._drawn:
            self._drawn[drawn_at] = volume_segments(self._panel, cutoff_index, self._among)
        return self._drawn[drawn_at]


def kinds_before(places: Places, cutoff: datetime) -> str | None:
    """What told days apart on the newest evaluation before that says so, or in the backtest; None where neither
    does.
    """
    engine, job = places.engine(), places.job
    live = [row["special_definition"] for row in history.losses(engine, job, "all") if row["evaluated_on"] < cutoff]
    newest = next(filter(None, reversed(live)), None)
    # Only the first nights have to look further.
    return newest or next(
        filter(None, (row["special_definition"] for row in history.backtest_losses(engine, job))), None
    )


def before_what_is_new(rows_file: Path, grid: TimeGrid, before: int) -> int:
    """Grid position before the oldest step with a row that the evaluation `before` may not have known."""
    # Its night ran at the instant of its cutoff at the earliest.
    oldest = recorded_since(rows_file, grid.instant(before), ZoneInfo(grid.time_zone))
    return before if oldest is None else grid.position(oldest) - 1


def nights_to_judge(
    panel: Panel, grid: TimeGrid, published: list[dict[str, Any]], window_start: int, counted: Counted
) -> list[tuple[dict[str, Any], int]]:
    """Publications with a realised step after grid position `window_start` or that counts tonight, and their cutoffs.

    The oldest comes first.
    """
    found = []
    for row in published:
        index, last = grid.position(row["cutoff"]), grid.position(row["last_timestamp"])
        if index < panel.cutoff_index and (last > window_start or counted.leaves(row["cutoff"], last)):
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


def read_night(stored: pa.Table, panel: Panel, cutoff_index: int) -> PastNight:
    """One night's rows, from `history.figures_of`, beside the panel's actuals."""
    levels = {
        quantile_level(name): name
        for name in stored.column_names
        if is_quantile_column(name) and stored[name].null_count < stored.num_rows
    }
    series = series_of(stored, panel)
    versions = pc.dictionary_encode(pc.fill_null(stored["model_version"], "").combine_chunks())
    steps = stored["step"].to_numpy()
    rows = ForecastRows(
        series=series,
        step=steps,
        quantile_levels=np.array(sorted(levels)),
        quantiles=np.column_stack([numbers(stored, levels[level]) for level in sorted(levels)]),
        median=numbers(stored, "median"),
        baseline=numbers(stored, "baseline"),
        versions=tuple(versions.dictionary.to_pylist()),
        version=versions.indices.to_numpy(zero_copy_only=False),
    )
    return PastNight.of_rows(rows, panel, cutoff_index, horizon=int(steps.max()))


def metric_rows(night: PastNight, scale: FloatArray, segments: Mapping[str, BoolArray]) -> list[dict[str, Any]]:
    """Every metric of one night, per segment and step, and (step 0) over all; none where nothing came true."""
    if not night.realised.any():
        return []
    figures = evaluate_segments(night.actual, night.quantiles, night.quantile_levels, scale, segments, night.baseline)
    by = {segment: night.version_of(mask) for segment, mask in segments.items()}
    return [
        {"segment": segment, "model_version": by[segment], **figure._asdict()}
        for segment, found in figures.items()
        for figure in found
        if figure.n
    ]
