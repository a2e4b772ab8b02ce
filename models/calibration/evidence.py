"""The evidence of past coverage: normal scores of actuals, added up evaluation by evaluation.

Older evaluations weigh less, half as much after each half-life.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

import numpy as np
from scipy.special import ndtri

from models.arrays import AnyArray, FloatArray, StringArray
from models.calibration.evaluation_counts import EDGES, EvaluationCounts, group_of, groups_of
from models.panel.panel import places_of

# Smallest density with which a miss of a quantile level is turned into scores; outer levels would move too far.
LEAST_DENSITY = 0.1
# Largest drift, in normal scores.
FURTHEST = 1.5
# A miss of all quantile levels to the same side is corrected at this share of the pace of a miss in width.
TOGETHER = 0.4


@dataclass(frozen=True)
class Evidence:
    """The evidence of all evaluations so far; an older evaluation counts as a part of one.

    Attributes:
        quantile_levels: Shape (level,).
        horizon: Number of steps of a night.
        evaluations: Shape (group of steps,), number of evaluations.
        points: Shape (group of steps,), number of points, added up over evaluations.
        counts: Shape (group of steps, bin), the share of an evaluation's points by score, added up over evaluations.
        centre: Shape (2, group of steps), the mean score of an evaluation and its square, added up over evaluations.
        drift: Shape (group of steps, level), how far a quantile level is moved, in normal scores, to correct the
            coverage of what was published.
        series_ids: Shape (series,), sorted.
        series: Shape (2, series), number of evaluations of a series, and its mean squared score, added up over them.
    """

    quantile_levels: FloatArray
    horizon: int
    evaluations: FloatArray
    points: FloatArray
    counts: FloatArray
    centre: FloatArray
    drift: FloatArray
    series_ids: StringArray
    series: FloatArray

    @classmethod
    def empty(cls, quantile_levels: FloatArray, horizon: int) -> Evidence:
        """The evidence before the first evaluation."""
        groups = groups_of(horizon)
        return cls(
            quantile_levels=np.asarray(quantile_levels, np.float64),
            horizon=horizon,
            evaluations=np.zeros(groups),
            points=np.zeros(groups),
            counts=np.zeros((groups, len(EDGES) - 1)),
            centre=np.zeros((2, groups)),
            drift=np.zeros((groups, len(quantile_levels))),
            series_ids=np.zeros(0, "<U1"),
            series=np.zeros((2, 0)),
        )

    def for_levels(self, quantile_levels: FloatArray, horizon: int) -> Evidence:
        """The evidence for other quantile levels or another horizon, interpolated."""
        levels = np.asarray(quantile_levels, np.float64)
        groups = groups_of(horizon)
        step = np.arange(groups) * horizon // groups
        known = np.minimum(group_of(np.minimum(step, self.horizon - 1), self.horizon), len(self.evaluations) - 1)
        drift = np.array([np.interp(ndtri(levels), ndtri(self.quantile_levels), row) for row in self.drift])
        return replace(
            self,
            quantile_levels=levels,
            horizon=horizon,
            evaluations=self.evaluations[known],
            points=self.points[known],
            counts=self.counts[known],
            centre=self.centre[:, known],
            drift=drift[known],
        )

    def series_sums(self, series_ids: StringArray) -> FloatArray:
        """`series` of some ids, shape (2, id), in their order; 0 for unknown ids."""
        place = places_of(series_ids, self.series_ids)
        sums = np.zeros((2, len(series_ids)))
        sums[:, place >= 0] = self.series[:, place[place >= 0]]
        return sums

    def arrays(self) -> dict[str, AnyArray]:
        """The evidence as arrays by name, to be stored."""
        arrays = {each.name: np.asarray(getattr(self, each.name)) for each in fields(self)}
        return arrays | {"series": self.series.astype(np.float32), "counts": self.counts.astype(np.float32)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, AnyArray]) -> Evidence:
        """The evidence that `arrays` stored."""
        stored = {each.name: arrays[each.name] for each in fields(cls)}
        wide = {name: stored[name].astype(np.float64) for name in ("series", "counts")}
        return cls(**stored | wide | {"horizon": int(stored["horizon"])})  # type: ignore[arg-type]

    def updated(
        self,
        evaluation: EvaluationCounts,
        half_life: float,
        rate: float,
        lag: FloatArray | None,
        weight: float = 1.0,
    ) -> Evidence:
        """The evidence after one more evaluation.

        Args:
            evaluation: An evaluation with the same quantile levels and horizon. Its new series are added; series that
                it does not have are forgotten.
            half_life: Number of evaluations after which one weighs half as much.
            rate: The share of an evaluation's miss that `drift` corrects, if its actuals arrived at once.
            lag: Shape (group of steps,), number of evaluations from a forecast to its actual; None where nothing was
                published, which leaves `drift` as it is.
            weight: Weight of the evaluation relative to others.
        """
        keep = 0.5 ** (1 / half_life)
        n = evaluation.counts.sum(axis=1)
        typical = np.divide(self.points, self.evaluations, out=np.zeros(len(n)), where=self.evaluations > 0)
        size = np.maximum(np.maximum(typical, n), 1)
        # An evaluation with few actuals counts as a part of one.
        part = weight * n / size
        old = np.where(n > 0, keep, 1.0)
        drift = self.drift
        if lag is not None:
            # Coverage that answers late must be corrected slowly, or it oscillates.
            pace = rate * part / (1 + lag / 4)
            drift = np.clip(drift + pace[:, None] * _missed(evaluation, n), -FURTHEST, FURTHEST)
        return replace(
            self,
            evaluations=old * self.evaluations + part,
            points=old * self.points + part * n,
            counts=old[:, None] * self.counts + weight * evaluation.counts / size[:, None],
            centre=old * self.centre + part * _centre(evaluation.counts, n) ** np.array([[1], [2]]),
            drift=np.where((n > 0)[:, None], drift, self.drift),
            series_ids=evaluation.series_ids,
            series=_series_after(self, evaluation, keep, weight),
        )


def _missed(evaluation: EvaluationCounts, n: FloatArray) -> FloatArray:
    """How far each published quantile lay from where it should have, in normal scores, shape (group of steps, level).

    A quantile is right where at most its level's share of actuals lies below it, and at least that share up to it.

    Args:
        evaluation: The evaluation.
        n: Shape (group of steps,), its number of points.
    """
    levels, points = evaluation.quantile_levels, np.maximum(n, 1)[:, None]
    shortfall = levels - np.clip(levels, evaluation.below / points, evaluation.up_to / points)
    score = ndtri(levels)
    missed = shortfall / np.maximum(np.exp(-(score**2) / 2) / np.sqrt(2 * np.pi), LEAST_DENSITY)
    # A miss that all quantiles share, the median too, is mostly the luck of this evaluation.
    shared = missed[:, np.abs(score).argmin()][:, None]
    return np.asarray(missed - (1 - TOGETHER) * shared)


def _centre(counts: FloatArray, n: FloatArray) -> FloatArray:
    """Mean score, shape (group of steps,); 0 where there is no point."""
    return np.asarray((counts @ ((EDGES[1:] + EDGES[:-1]) / 2)) / np.maximum(n, 1))


def _series_after(before: Evidence, evaluation: EvaluationCounts, keep: float, weight: float) -> FloatArray:
    """`Evidence.series` after an evaluation."""
    old = before.series_sums(evaluation.series_ids)
    points = evaluation.series[0]
    new = evaluation.series / np.maximum(points, 1)
    return np.asarray(np.where(points > 0, keep, 1.0) * old + weight * new)
