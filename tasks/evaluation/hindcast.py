"""Try a job's first model on past nights, so that the first live nights have a reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from models.calibration.evidence import Evidence
from models.evaluation.hindcast import HindcastEvaluation, hindcast
from models.evaluation.segments import watched_segments
from models.network.forecaster import Forecaster
from tasks.forecasting.calibration import keep_evidence
from tasks.night.night import Night
from tasks.step import logger, step
from tasks.store.panel_file import load_panel
from tasks.training.night_model import NightModel


@step("try {model.version} on past nights", retries=2, retry_delay_seconds=(2, 10))
def run_hindcast(night: Night, panel_file: Path, model: NightModel) -> int:
    """Write what past nights would have lost with tonight's new model, once for each job.

    Later models are compared with the same nights, and with live nights as there become enough of them. A model must
    not be its own reference, or one that is worse than the model before would not be found.

    Args:
        night: Tonight.
        panel_file: Tonight's history.
        model: Tonight's model.

    Returns:
        The number of evaluations; 0 where there is no new model, or a hindcast was made before.
    """
    job = night.job
    wanted = job.monitor.hindcast_nights
    if wanted is None:
        wanted = job.monitor.reference_nights
    if not wanted or model.new_version is None or model.folder is None:
        return 0
    if any(row["segment"] == "all" for row in night.ledger.hindcast_losses()):
        return 0
    panel = load_panel(panel_file)
    segments, stride = watched_segments(panel, job.monitor), max(1, round(panel.grid.steps_per_day))
    evaluations = hindcast(Forecaster.load(model.folder), panel, job.forecast, segments, wanted, stride)
    rows = [
        {
            "job": job.name,
            "evaluated_on": panel.grid.instant(panel.cutoff_index - evaluation.steps_back),
            "segment": segment,
            "model_version": model.version,
            "in_sample": evaluation.in_sample,
            **asdict(loss),
        }
        for evaluation in evaluations
        for segment, loss in evaluation.losses.items()
    ]
    _keep_evidence(night, evaluations)
    night.ledger.upsert_hindcast_losses(rows)
    logger().info("%s was tried on %d past nights", model.version, len(evaluations))
    return len(evaluations)


def _keep_evidence(night: Night, evaluations: Sequence[HindcastEvaluation]) -> None:
    """Keep how the model's quantiles covered actuals that it was not trained on.

    Tonight is calibrated by it. So it is kept for the step before tonight's cutoff, which is after any other night.
    """
    settings = night.job.calibration
    points = [each.calibration_counts for each in evaluations if each.calibration_counts is not None]
    if not (settings.enabled and settings.hindcast_weight and points):
        return
    evidence = Evidence.empty(points[0].quantile_levels, points[0].horizon)
    for evaluation in points:
        evidence = evidence.updated(evaluation, settings.half_life, 0.0, None, settings.hindcast_weight)
    grid = night.grid
    keep_evidence(night.ledger, grid.instant(grid.position(night.cutoff) - 1), evidence)
