"""The evidence of past coverage: normal scores of actuals, added up evaluation by evaluation.

An evaluation has all points whose actual has arrived since the evaluation before. A point counts by the score of its
actual in the forecast as the network made it (`normal_scores.py`): the calibration of the published forecast is undone.
Older evaluations weigh less, half as much after each half-life.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace

import numpy as np
from scipy.special import ndtri

from models.arrays import AnyArray, FloatArray, IntArray, StringArray
from models.calibration.calibration import Calibration
from models.calibration.normal_scores import WIDEST, even_chance, scores_of
from models.panel.panel import places_of

STEPS_APART = 64
"""Largest number of groups of steps that are counted apart; in a longer horizon, neighbouring steps form a group."""

EDGES = np.linspace(-WIDEST, WIDEST, 161)
# A single score far out must not decide how wide a series is.
MOST = 4.0
# Smallest density with which a miss of a quantile level is turned into scores; outer levels would move too far.
LEAST_DENSITY = 0.1
# Largest drift, in normal scores.
FURTHEST = 1.5
# A miss of all quantile levels to the same side is corrected at this share of the pace of a miss in width.
TOGETHER = 0.4


@dataclass
class EvaluationCounts:
    """The points of one evaluation, counted by their scores; nights are added one by one.

    Attributes:
        number: A number for the evaluation; random draws depend on it.
        quantile_levels: Shape (level,).
        horizon: Number of steps of a night.
        series_ids: Shape (series,), sorted.
        counts: Shape (group of steps, bin), number of points by score.
        below, up_to: Shape (group of steps, level), number of points below the published quantile, and up to it.
        series: Shape (2, series), number of points and sum of their squared scores.
    """

    number: int
    quantile_levels: FloatArray
    horizon: int
    series_ids: StringArray
    counts: FloatArray = field(init=False)
    below: FloatArray = field(init=False)
    up_to: FloatArray = field(init=False)
    series: FloatArray = field(init=False)

    def __post_init__(self) -> None:
        groups = groups_of(self.horizon)
        self.counts = np.zeros((groups, len(EDGES) - 1))
        self.below, self.up_to = (np.zeros((groups, len(self.quantile_levels))) for _ in range(2))
        self.series = np.zeros((2, len(self.series_ids)))

    def add(
        self,
        series: IntArray,
        step: IntArray,
        actual: FloatArray,
        published: FloatArray,
        calibration: Calibration,
        place: IntArray | None = None,
    ) -> None:
        """Add points of one night.

        Args:
            series: Shape (point,), the series of each point, as indices into `series_ids`.
            step: Shape (point,), from 0.
            actual: Shape (point,), observed.
            published: Shape (point, level), the quantiles as they were published.
            calibration: The calibration of the published quantiles.
            place: Shape (point,), the series of each point as indices into those of `calibration`; None where the two
                have the same series.
        """
        place = series if place is None else place
        known = calibration.positions[np.minimum(step, len(calibration.positions) - 1)]
        bends = ndtri(self.quantile_levels) / calibration.stretch[place, None]
        chance = even_chance(series, step, self.number)
        score = scores_of(actual, published, known, bends, calibration.bounds, chance)
        used = ~np.isnan(score)
        series, step, place, score = series[used], step[used], place[used], score[used]
        actual, published = actual[used], published[used]
        group = group_of(step, self.horizon)
        self._count_scores(group, score)
        self._count_below(group, actual, published)
        uncalibrated = np.clip(calibration.stretch[place] * score, -MOST, MOST)
        for row, weight in enumerate((np.ones(len(uncalibrated)), uncalibrated**2)):
            self.series[row] += np.bincount(series, weight, minlength=len(self.series_ids))

    def _count_scores(self, group: IntArray, score: FloatArray) -> None:
        bins = len(EDGES) - 1
        chosen = np.clip(np.searchsorted(EDGES, score) - 1, 0, bins - 1)
        self.counts += np.bincount(group * bins + chosen, minlength=self.counts.size).reshape(self.counts.shape)

    def _count_below(self, group: IntArray, actual: FloatArray, published: FloatArray) -> None:
        for place in range(len(self.quantile_levels)):
            for totals, counted in (
                (self.below, published[:, place] > actual),
                (self.up_to, published[:, place] >= actual),
            ):
                totals[:, place] += np.bincount(group, counted, minlength=len(self.counts))


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


def groups_of(horizon: int) -> int:
    """Number of groups of steps that are counted apart."""
    return min(horizon, STEPS_APART)


def group_of(step: IntArray, horizon: int) -> IntArray:
    """The group of each step, from 0; a step beyond the horizon belongs to the last group."""
    return np.minimum(step, horizon - 1) * groups_of(horizon) // horizon


def _series_after(before: Evidence, evaluation: EvaluationCounts, keep: float, weight: float) -> FloatArray:
    """`Evidence.series` after an evaluation."""
    old = before.series_sums(evaluation.series_ids)
    points = evaluation.series[0]
    new = evaluation.series / np.maximum(points, 1)
    return np.asarray(np.where(points > 0, keep, 1.0) * old + weight * new)
