"""Score the forecasts whose actuals have arrived: metrics for each night, and tonight's loss for each segment."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from models.arrays import FloatArray
from models.calendar.grid import TimeGrid
from models.evaluation import volume_classes
from models.evaluation.evaluation_loss import EvaluationLoss
from models.evaluation.evaluator import Evaluator
from models.evaluation.scales import scales_at
from models.evaluation.segments import Segments, segments_of
from models.evaluation.series_errors import SeriesErrors
from models.evaluation.special_days import SpecialDayCriteria, SpecialDays
from models.evaluation.volume_classes import VolumeClasses
from models.panel.history_summary import Window
from models.panel.panel import Panel
from models.settings.monitoring import MonitorSettings
from tasks.evaluation.instability import instability_tonight
from tasks.evaluation.keep_scores import keep_scores
from tasks.evaluation.nights_due import due_tonight
from tasks.evaluation.stored_night import read_past_night
from tasks.forecasting.aggregates import merge_aggregates
from tasks.forecasting.calibration import CoverageCount
from tasks.night.night import Night
from tasks.reading.read_series import as_of
from tasks.step import step
from tasks.store.panel_file import load_panel
from tasks.store.past_forecasts import keep_past_forecast, keep_series_errors, spread_nights


@dataclass(frozen=True)
class Scored:
    """Tonight's evaluation.

    Attributes:
        scores: Rows of the table `score`, of all nights that were scored.
        losses: Segment to its loss over the points that this evaluation counts, see `CountedPoints`.
        newest: Cutoff of the newest night that could be scored; None where none could.
        past_forecasts: Folder of what the nights forecast for each series, see `read_past_forecasts`.
    """

    scores: list[dict[str, Any]]
    losses: dict[str, EvaluationLoss]
    newest: datetime | None
    past_forecasts: Path

    @property
    def newest_scores(self) -> list[dict[str, Any]]:
        """The scores over all steps of the newest night that could be scored."""
        return [row for row in self.scores if row["cutoff"] == self.newest and row["step"] == 0]

    @property
    def newest_steps(self) -> list[int]:
        """The steps that these scores are of: those whose actuals have arrived."""
        return sorted({row["step"] for row in self.scores if row["cutoff"] == self.newest and row["step"] > 0})


@step("score past forecasts", retries=2, retry_delay_seconds=(2, 10))
def score(
    night: Night,
    panel_file: Path,
    rows_file: Path,
    window: Window | None = None,
    forecast_file: Path | None = None,
) -> Scored:
    """Score every night with actuals that are new, or that may have changed, see `nights_due`.

    Each aggregation level of the job is a segment, and so is each version that forecast a night. How the quantiles
    covered the actuals is kept for the calibration of later nights.

    Args:
        night: Tonight.
        panel_file: Tonight's history.
        rows_file: The rows from which it was built.
        window: What the panel leaves out, where it is not the whole history.
        forecast_file: Tonight's forecasts, where there are new ones; they are compared with those of the night before.
    """
    evaluator = _evaluator(night, load_panel(panel_file))
    panel, season_length = evaluator.panel, evaluator.panel.season_lengths[0]
    counted, due = due_tonight(night, panel, rows_file)
    cutoffs = [*(each.cutoff_index for each in due), panel.cutoff_index]
    *scales, scale_tonight = scales_at(panel, season_length, cutoffs, window)
    calibration, covered = night.job.calibration, None
    if calibration.enabled:
        covered = CoverageCount(night.ledger, panel, night.job.forecast, counted.previous_index)
    more_actuals, scores = _more_actuals(night, rows_file), list[dict[str, Any]]()
    past_forecasts, errors = night.scratch / "past_forecasts", SeriesErrors.none(len(panel))
    shown = spread_nights([each.cutoff_index for each in due], len(panel))
    # One night at a time: each takes as much memory as the panel, and a month of them many times that.
    for each, scale in zip(due, scales, strict=True):
        past = read_past_night(night.ledger, each, panel)
        if past is not None:
            evaluator.count(past, scale, each.counted_until)
            errors.add(past, scale, panel.cutoff_index)
            if each.cutoff_index in shown:
                keep_past_forecast(past_forecasts, past)
            if covered is not None:
                covered.add(past, each.counted_until)
            rows = _rows(night, panel.grid.instant(each.cutoff_index), evaluator.scores(past, scale))
            keep_scores(night.ledger, rows, more_actuals=more_actuals)
            scores += rows
    if covered is not None:
        covered.store(night.cutoff, calibration)
    keep_series_errors(past_forecasts, panel.series_ids, errors, evaluator.segments.at(panel.cutoff_index))
    losses = _with_instability(night, evaluator, scale_tonight, forecast_file)
    return Scored(scores, losses, max((row["cutoff"] for row in scores), default=None), past_forecasts)


def history_needed(steps_back: int, monitor: MonitorSettings, grid: TimeGrid, season_length: int) -> int:
    """How many steps before the cutoff the volume classes of the nights due look at; 0 where the job has none.

    Nothing else in an evaluation needs more history than the actuals of those nights and a summary of what is older.

    Args:
        steps_back: From the cutoff to that of the oldest night due.
        monitor: The job's.
        grid: The job's time grid.
        season_length: In steps.
    """
    return steps_back + volume_classes.history_needed(grid, season_length) if monitor.volume_classes else 0


def _evaluator(night: Night, panel: Panel) -> Evaluator:
    """The evaluation of the job's series and aggregates in its segments."""
    monitor = night.job.monitor
    both, constant = merge_aggregates(panel, segments_of(panel, monitor.segments), night.job.aggregation_levels)
    volumes = VolumeClasses(both, constant["all"]) if monitor.volume_classes else None
    criteria = SpecialDayCriteria.choose(panel, _previous_criteria(night))
    return Evaluator(both, Segments(constant, volumes), SpecialDays(panel, criteria, both.series_ids))


def _rows(night: Night, cutoff: datetime, scores: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows of the table `score`."""
    return [{"job": night.job.name, "cutoff": cutoff, **columns} for columns in scores]


def _with_instability(
    night: Night, evaluator: Evaluator, scale: FloatArray, forecast_file: Path | None
) -> dict[str, EvaluationLoss]:
    """The losses of an evaluation with the instability of tonight's forecasts, which is a score of tonight too."""
    losses, segments = evaluator.losses(), evaluator.segments.at(evaluator.panel.cutoff_index)
    instability = instability_tonight(night, evaluator.panel, scale, forecast_file)
    if instability is None:
        return losses
    keep_scores(night.ledger, _rows(night, night.cutoff, instability.scores(segments)))
    return {name: replace(loss, instability=instability.mean(segments[name])) for name, loss in losses.items()}


def _previous_criteria(night: Night) -> str | None:
    """What made days special on the newest earlier evaluation that knows, or else in the hindcast; None in neither."""
    live = (row for row in reversed(night.ledger.losses("all")) if row["evaluated_on"] < night.cutoff)
    newest = next(filter(None, (row["special_definition"] for row in live)), None)
    # Only the first nights have to read the hindcast.
    return newest or next(filter(None, (row["special_definition"] for row in night.ledger.hindcast_losses())), None)


def _more_actuals(night: Night, rows_file: Path) -> int | None:
    """How many more actuals a score needs to replace a stored one, see `keep_scores`."""
    if not night.is_past:
        return None
    return 1 if as_of(rows_file) else 0
