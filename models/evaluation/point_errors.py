"""Errors of single points, a point being the forecast of one series for one step, once its actual has arrived.

Live evaluations and hindcasts make the same typed table of points, and sum it up by the same code.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import NamedTuple, Self

import numpy as np

from models.arrays import BoolArray, FloatArray, IntArray
from models.evaluation.past_night import PastNight
from models.evaluation.special_days import SpecialDays
from models.metrics.statistics import as_quantiles, pinball_of_each

ERROR_CAP = 10.0
"""The largest error that one point counts for, in units of its series' scale.

A series whose values suddenly come in another unit must not decide how the whole job is judged.
"""


class ScaledErrors(NamedTuple):
    """Errors in units of each series' scale, none larger than `ERROR_CAP`; all of one shape.

    Attributes:
        loss: Pinball loss, the mean over levels.
        baseline_loss: The same of the seasonal naive; NaN where there was none.
        bias: Median minus actual.
    """

    loss: FloatArray
    baseline_loss: FloatArray
    bias: FloatArray


def scaled_errors(
    actual: FloatArray,
    quantiles: FloatArray,
    median: FloatArray,
    baseline: FloatArray,
    quantile_levels: FloatArray,
    scale: FloatArray,
) -> ScaledErrors:
    """Errors of points in units of their series' scale.

    Args:
        actual: Shape (...), NaN where not observed; the errors are NaN there too.
        quantiles: Shape (..., level).
        median: Shape (...).
        baseline: Shape (...), the seasonal naive; NaN where there was none.
        quantile_levels: Shape (level,).
        scale: Shape (...), above zero.

    >>> one = np.array([6.0])
    >>> errors = scaled_errors(one, np.array([[4.0]]), one - 2, one + 90, np.array([0.5]), np.array([2.0]))
    >>> [error.tolist() for error in errors]
    [[0.5], [10.0], [-1.0]]
    """
    loss = pinball_of_each(actual, quantiles, quantile_levels) / scale
    baseline_loss = pinball_of_each(actual, as_quantiles(baseline, quantile_levels), quantile_levels) / scale
    return ScaledErrors(
        loss=np.minimum(loss, ERROR_CAP),
        baseline_loss=np.minimum(baseline_loss, ERROR_CAP),
        bias=np.clip((median - actual) / scale, -ERROR_CAP, ERROR_CAP),
    )


@dataclass(frozen=True)
class PointErrors:
    """A table of points, all columns of shape (point,).

    Attributes:
        series: Position of the series.
        step: 1..horizon.
        loss: See `ScaledErrors`, as are the next two.
        baseline_loss: NaN where there was no baseline.
        bias: Median minus actual.
        has_interval: Whether the night's levels have a central interval.
        inside: Whether the actual lies in the widest of them; False where there is none.
        special: Whether the point is on a special day, see `SpecialDays`.
    """

    series: IntArray
    step: IntArray
    loss: FloatArray
    baseline_loss: FloatArray
    bias: FloatArray
    has_interval: BoolArray
    inside: BoolArray
    special: BoolArray

    @classmethod
    def of(cls, night: PastNight, scale: FloatArray, special_days: SpecialDays, after_index: int | None = None) -> Self:
        """The errors of one night at each point that has its actual.

        Args:
            night: The night.
            scale: Shape (series,), above zero.
            special_days: Of the night's series.
            after_index: Only points after this grid position, those up to it counted on an earlier evaluation; all
                where None.
        """
        target = night.cutoff_index + 1 + np.arange(night.actual.shape[1])
        wanted = night.realised if after_index is None else night.realised & (target > after_index)
        cell = series, position = np.nonzero(wanted)
        actual, interval = night.actual[cell], night.interval
        errors = scaled_errors(
            actual,
            night.quantiles[cell],
            night.median[cell],
            night.baseline[cell],
            night.quantile_levels,
            scale[series],
        )
        inside = np.zeros(len(series), bool)
        if interval is not None:
            lower, upper = interval
            inside = (lower[cell] <= actual) & (actual <= upper[cell])
        return cls(
            series=series,
            step=position + 1,
            **errors._asdict(),
            has_interval=np.full(len(series), interval is not None),
            inside=inside,
            special=special_days.at(series, night.cutoff_index, position + 1),
        )

    def __len__(self) -> int:
        return len(self.series)

    def where(self, mask: BoolArray) -> Self:
        """The points of a mask of shape (point,)."""
        return type(self)(**{column.name: getattr(self, column.name)[mask] for column in fields(self)})


@dataclass(frozen=True)
class ErrorSums:
    """Sums of point errors over groups of points, such as the points of each series; all of one shape.

    Sums take little memory, whatever the number of nights, and the means of every segment follow from them.

    Attributes:
        points: Number of points.
        loss: Sum of their losses.
        bias: Sum of their biases.
        with_baseline: How many have a baseline.
        baseline_loss: Sum of their baselines' losses.
        with_interval: How many have a central interval.
        inside: How many actuals lie in it.
        special: How many points are on special days.
        special_loss: Sum of the losses of those.
        special_with_baseline: How many of those have a baseline.
        special_baseline_loss: Sum of their baselines' losses.
    """

    points: FloatArray
    loss: FloatArray
    bias: FloatArray
    with_baseline: FloatArray
    baseline_loss: FloatArray
    with_interval: FloatArray
    inside: FloatArray
    special: FloatArray
    special_loss: FloatArray
    special_with_baseline: FloatArray
    special_baseline_loss: FloatArray

    @classmethod
    def zeros(cls, *shape: int) -> Self:
        """The sums of no points, for groups in an array of this shape."""
        return cls(**{column.name: np.zeros(shape) for column in fields(cls)})

    def add(self, errors: PointErrors, group: IntArray) -> None:
        """Add points, each to a group: a flat position in these arrays; `group` is of shape (point,)."""
        known = ~np.isnan(errors.baseline_loss)
        baseline_loss = np.where(known, errors.baseline_loss, 0.0)
        self._add(self.points, np.ones(len(errors)), group)
        self._add(self.loss, errors.loss, group)
        self._add(self.bias, errors.bias, group)
        self._add(self.with_baseline, known, group)
        self._add(self.baseline_loss, baseline_loss, group)
        self._add(self.with_interval, errors.has_interval, group)
        self._add(self.inside, errors.inside, group)
        special = np.flatnonzero(errors.special)
        group = group[special]
        self._add(self.special, np.ones(len(special)), group)
        self._add(self.special_loss, errors.loss[special], group)
        self._add(self.special_with_baseline, known[special], group)
        self._add(self.special_baseline_loss, baseline_loss[special], group)

    def of(self, groups: BoolArray | tuple[int, BoolArray]) -> Self:
        """The sums over some groups together, which an index of these arrays selects; without dimension."""
        return type(self)(**{column.name: getattr(self, column.name)[groups].sum() for column in fields(self)})

    @staticmethod
    def _add(total: FloatArray, column: FloatArray | BoolArray, group: IntArray) -> None:
        if len(group):
            total += np.bincount(group, column, total.size).reshape(total.shape)
