"""What is known of how a job's forecasts have covered: scores of actuals, added up evaluation by evaluation.

An evaluation is all points that came true since the one before. A point counts by the score of its actual in the
forecast as the network made it (`normal_scores.py`), whatever calibration was published: what it was published by is
undone. Older evaluations weigh less, half as much after each half-life.
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
"""Steps that are counted apart at most; of longer horizons neighbours count together."""

EDGES = np.linspace(-WIDEST, WIDEST, 161)
# A single score far out must not decide how wide a series is.
MOST = 4.0
# A level whose density is small would otherwise be moved far by a little too much or too little.
LEAST_DENSITY = 0.1
# How far forecasts may be moved to make up for the past, in normal scores.
FURTHEST = 1.5
# Share of a miss of all levels to the same side that is made up for as fast as one of the width.
TOGETHER = 0.4


@dataclass
class EvaluationPoints:
    """The points of one evaluation, night by night as they are taken.

    Attributes:
        night: Number of the evaluation, from which chance is drawn.
        quantile_levels: Shape (level,).
        horizon: Steps of a night.
        series_ids: Shape (series,), sorted.
        counts: Shape (group of steps, bin), points by their score.
        below, up_to: Shape (group of steps, level), points below what was published, and those at or below it.
        series: Shape (2, series): points of each, and the sum of their squared scores.
    """

    night: int
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

    def take(
        self,
        series: IntArray,
        step: IntArray,
        actual: FloatArray,
        published: FloatArray,
        by: Calibration,
        place: IntArray | None = None,
    ) -> None:
        """Count points of one night.

        Args:
            series: Shape (point,), whose they are, positions in `series_ids`.
            step: Shape (point,), from 0.
            actual: Shape (point,), observed.
            published: Shape (point, level), the quantiles as they were published.
            by: What they were calibrated by.
            place: Shape (point,), each point's series among those of `by`; left out, they are the same.
        """
        place = series if place is None else place
        known = by.positions[np.minimum(step, len(by.positions) - 1)]
        bends = ndtri(self.quantile_levels) / by.stretch[place, None]
        chance = even_chance(series, step, self.night)
        score = scores_of(actual, published, known, bends, by.bounds, chance)
        used = ~np.isnan(score)
        series, step, place, score = series[used], step[used], place[used], score[used]
        actual, published = actual[used], published[used]
        group = group_of(step, self.horizon)
        bins = len(EDGES) - 1
        where = np.clip(np.searchsorted(EDGES, score) - 1, 0, bins - 1)
        self.counts += np.bincount(group * bins + where, minlength=self.counts.size).reshape(self.counts.shape)
        for level in range(len(self.quantile_levels)):
            for counted, is_so in (
                (self.below, published[:, level] > actual),
                (self.up_to, published[:, level] >= actual),
            ):
                counted[:, level] += np.bincount(group, is_so, minlength=len(self.counts))
        raw = np.clip(by.stretch[place] * score, -MOST, MOST)
        for row, weight in enumerate((np.ones(len(raw)), raw**2)):
            self.series[row] += np.bincount(series, weight, minlength=len(self.series_ids))


@dataclass(frozen=True)
class Evidence:
    """All evaluations so far.

    Attributes:
        quantile_levels: Shape (level,).
        horizon: Steps of a night.
        evaluations: Shape (group of steps,), how many, older ones in part.
        points: Shape (group of steps,), those of a usual evaluation times `evaluations`.
        counts: Shape (group of steps, bin), shares of evaluations' points by their score, added up.
        centre: Shape (2, group of steps): evaluations' mean scores, and the squares of these, added up.
        drift: Shape (group of steps, level): how far in normal scores a level is moved, because what was published at
            it held too much or too little.
        series_ids: Shape (series,), sorted.
        series: Shape (2, series): evaluations of each, and its mean squared scores in them, added up.
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
    def none(cls, quantile_levels: FloatArray, horizon: int) -> Evidence:
        """What is known before the first evaluation."""
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

    def of(self, quantile_levels: FloatArray, horizon: int) -> Evidence:
        """The same for other levels or another horizon, as well as can be said."""
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

    def of_series(self, series_ids: StringArray) -> FloatArray:
        """`series` of some ids, in their order; 0 where nothing is known of one."""
        place = places_of(series_ids, self.series_ids)
        found = np.zeros((2, len(series_ids)))
        found[:, place >= 0] = self.series[:, place[place >= 0]]
        return found

    def arrays(self) -> dict[str, AnyArray]:
        """All of it as arrays by name, to be kept."""
        found = {each.name: np.asarray(getattr(self, each.name)) for each in fields(self)}
        return found | {"series": self.series.astype(np.float32), "counts": self.counts.astype(np.float32)}

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, AnyArray]) -> Evidence:
        """What `arrays` gave."""
        found = {each.name: arrays[each.name] for each in fields(cls)}
        wide = {name: found[name].astype(np.float64) for name in ("series", "counts")}
        return cls(**found | wide | {"horizon": int(found["horizon"])})  # type: ignore[arg-type]

    def after(
        self,
        evaluation: EvaluationPoints,
        half_life: float,
        rate: float,
        lag: FloatArray | None,
        weight: float = 1.0,
    ) -> Evidence:
        """What is known after one more evaluation.

        Args:
            evaluation: Of the same levels and horizon. Series that are new begin; those that it does not have are
                forgotten.
            half_life: Evaluations after which one weighs half as much.
            rate: How much of what an evaluation held too much or too little is made up for, were it known at once.
            lag: Shape (group of steps,), evaluations from a forecast to its actual; None where nothing was published.
            weight: What an evaluation counts that says less than others.
        """
        keep = 0.5 ** (1 / half_life)
        found = evaluation.counts.sum(axis=1)
        usual = np.divide(self.points, self.evaluations, out=np.zeros(len(found)), where=self.evaluations > 0)
        size = np.maximum(np.maximum(usual, found), 1)
        # An evaluation on which few actuals arrived says little.
        part = weight * found / size
        old = np.where(found > 0, keep, 1.0)
        drift = self.drift
        if lag is not None:
            # What answers late must be followed slowly, or it swings.
            pace = rate * part / (1 + lag / 4)
            drift = np.clip(drift + pace[:, None] * _missed(evaluation, found), -FURTHEST, FURTHEST)
        return replace(
            self,
            evaluations=old * self.evaluations + part,
            points=old * self.points + part * found,
            counts=old[:, None] * self.counts + weight * evaluation.counts / size[:, None],
            centre=old * self.centre + part * _centre(evaluation.counts, found) ** np.array([[1], [2]]),
            drift=np.where((found > 0)[:, None], drift, self.drift),
            series_ids=evaluation.series_ids,
            series=_series_after(self, evaluation, keep, weight),
        )


def _missed(evaluation: EvaluationPoints, found: FloatArray) -> FloatArray:
    """How far in normal scores each level lay from where it should have, shape (group of steps, level).

    A level is right where no more than its share lies below it and no less at or below.
    """
    levels, points = evaluation.quantile_levels, np.maximum(found, 1)[:, None]
    short = levels - np.clip(levels, evaluation.below / points, evaluation.up_to / points)
    score = ndtri(levels)
    missed = short / np.maximum(np.exp(-(score**2) / 2) / np.sqrt(2 * np.pi), LEAST_DENSITY)
    # What all levels share, the median too, is mostly the luck of that evaluation.
    middle = missed[:, np.abs(score).argmin()][:, None]
    return np.asarray(missed - (1 - TOGETHER) * middle)


def _centre(counts: FloatArray, found: FloatArray) -> FloatArray:
    """Mean score, shape (group of steps,); 0 where there is no point."""
    return np.asarray((counts @ ((EDGES[1:] + EDGES[:-1]) / 2)) / np.maximum(found, 1))


def groups_of(horizon: int) -> int:
    """How many groups of steps are counted apart."""
    return min(horizon, STEPS_APART)


def group_of(step: IntArray, horizon: int) -> IntArray:
    """The group of each step, from 0; steps beyond the horizon count with its last."""
    return np.minimum(step, horizon - 1) * groups_of(horizon) // horizon


def _series_after(before: Evidence, evaluation: EvaluationPoints, keep: float, weight: float) -> FloatArray:
    old = before.of_series(evaluation.series_ids)
    points = evaluation.series[0]
    tonight = evaluation.series / np.maximum(points, 1)
    return np.asarray(np.where(points > 0, keep, 1.0) * old + weight * tonight)
