"""The points of one evaluation, counted by their normal scores.

An evaluation has all points whose actual has arrived since the evaluation before. A point counts by the score of its
actual in the forecast as the network made it (`normal_scores.py`): the calibration of the published forecast is undone.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.special import ndtri

from models.arrays import FloatArray, IntArray, StringArray
from models.calibration.calibration import Calibration
from models.calibration.normal_scores import WIDEST, even_chance, scores_of

STEPS_APART = 64
"""Largest number of groups of steps that are counted apart; in a longer horizon, neighbouring steps form a group."""

EDGES = np.linspace(-WIDEST, WIDEST, 161)
"""Edges of the bins in which scores are counted, shape (bin + 1,)."""

# A single score far out must not decide how wide a series is.
MOST = 4.0


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


def groups_of(horizon: int) -> int:
    """Number of groups of steps that are counted apart."""
    return min(horizon, STEPS_APART)


def group_of(step: IntArray, horizon: int) -> IntArray:
    """The group of each step, from 0; a step beyond the horizon belongs to the last group."""
    return np.minimum(step, horizon - 1) * groups_of(horizon) // horizon
