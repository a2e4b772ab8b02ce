"""The evaluation of past nights, one after the other: the scores of each, and the loss of all together."""

from __future__ import annotations

from typing import Any

from models.arrays import FloatArray
from models.evaluation.evaluation_loss import EvaluationLoss, losses_of
from models.evaluation.past_night import PastNight
from models.evaluation.point_errors import ErrorSums, PointErrors
from models.evaluation.scales import usable_scale
from models.evaluation.segments import Segments
from models.evaluation.special_days import SpecialDays
from models.metrics.evaluate import evaluate_segments
from models.metrics.naive_quantiles import naive_quantiles
from models.panel.panel import Panel


class Evaluator:
    """One evaluation of a job.

    Args:
        panel: The history as it is known now, aggregates among its series.
        segments: Of the panel's series.
        special_days: Of the panel's series.
    """

    def __init__(self, panel: Panel, segments: Segments, special_days: SpecialDays) -> None:
        self.panel, self.segments, self._special_days = panel, segments, special_days
        self._sums = ErrorSums.zeros(len(panel))

    def count(self, night: PastNight, scale: FloatArray, after_index: int) -> None:
        """Add to the loss the points of a night that no earlier evaluation has counted.

        Args:
            night: The night.
            scale: Shape (series,), as the night knew it, see `scales_at`.
            after_index: Points up to this grid position have been counted.
        """
        errors = PointErrors.of(night, usable_scale(scale, night.actual), self._special_days, after_index)
        self._sums.add(errors, errors.series)

    def scores(self, night: PastNight, scale: FloatArray) -> list[dict[str, Any]]:
        """Every metric of one night, of each segment, for each step and for all steps together (step 0).

        Args:
            night: The night.
            scale: Shape (series,), as the night knew it.

        Returns:
            Columns of the table `score`, without its job and cutoff; empty where no actual has arrived.
        """
        if not night.realised.any():
            return []
        segments = self.segments.of_night(night)
        naive = naive_quantiles(night.baseline, night.quantile_levels, scale, self.panel.season_lengths[0])
        scores = evaluate_segments(night.actual, night.quantiles, night.quantile_levels, scale, segments, naive)
        version = {segment: night.version_of(mask) for segment, mask in segments.items()}
        return [
            {"segment": segment, "model_version": version[segment], **score._asdict()}
            for segment, its_scores in scores.items()
            for score in its_scores
            if score.n
        ]

    def losses(self) -> dict[str, EvaluationLoss]:
        """The loss of each watched segment over the points that were counted."""
        return losses_of(self._sums, self.segments.at(self.panel.cutoff_index), self._special_days.definition)
