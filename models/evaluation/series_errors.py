"""The errors of each series over several past nights, for people who look at one series or for the worst ones."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Self

import numpy as np

from models.arrays import FloatArray
from models.evaluation.past_night import PastNight


@dataclass(frozen=True)
class SeriesErrors:
    """Sums over the points of each series, a point being one forecast of one step whose actual has arrived.

    All are of shape (series,).

    Attributes:
        points: Number of points.
        absolute: Sum of |actual - median|.
        scaled: The same in units of each night's scale, see `scales_at`; points of nights without a scale add nothing.
        with_scale: Number of points with a scale.
        with_baseline: Number of points with a seasonal naive.
        absolute_baseline: Sum of |actual - seasonal naive| over these.
        with_interval: Number of points with a central interval.
        inside: How many actuals lie in the widest one.
        newest_miss: How far the newest actual lies outside the widest interval that the newest earlier night gave it,
            in widths of that interval; negative inside, NaN where there is no such actual or no width.
    """

    points: FloatArray
    absolute: FloatArray
    scaled: FloatArray
    with_scale: FloatArray
    with_baseline: FloatArray
    absolute_baseline: FloatArray
    with_interval: FloatArray
    inside: FloatArray
    newest_miss: FloatArray

    @classmethod
    def none(cls, series: int) -> Self:
        """The errors of no night."""
        sums = cls(**{each.name: np.zeros(series) for each in fields(cls)})
        sums.newest_miss[:] = np.nan
        return sums

    def add(self, night: PastNight, scale: FloatArray, newest_index: int) -> None:
        """Add the points of a night; nights come oldest first.

        Args:
            night: The night.
            scale: Shape (series,), as the night knew it.
            newest_index: Grid position of the newest actual.
        """
        known = night.realised
        error = np.where(known, np.abs(night.actual - night.median), 0.0)
        usable = (scale > 0) & np.isfinite(scale)
        beside = known & ~np.isnan(night.baseline)
        self.points[:] += known.sum(axis=1)
        self.absolute[:] += error.sum(axis=1)
        self.scaled[:] += np.where(usable, error.sum(axis=1) / np.where(usable, scale, 1.0), 0.0)
        self.with_scale[:] += np.where(usable, known.sum(axis=1), 0)
        self.with_baseline[:] += beside.sum(axis=1)
        self.absolute_baseline[:] += np.where(beside, np.abs(night.actual - night.baseline), 0.0).sum(axis=1)
        if night.interval is None:
            return
        low, high = night.interval
        self.with_interval[:] += known.sum(axis=1)
        self.inside[:] += (known & (low <= night.actual) & (night.actual <= high)).sum(axis=1)
        step = newest_index - night.cutoff_index - 1
        if 0 <= step < known.shape[1]:
            actual, width = night.actual[:, step], high[:, step] - low[:, step]
            beyond = np.maximum(low[:, step] - actual, actual - high[:, step])
            with np.errstate(divide="ignore", invalid="ignore"):
                self.newest_miss[:] = np.where(known[:, step] & (width > 0), beyond / width, np.nan)

    @property
    def mase(self) -> FloatArray:
        """The mean scaled error; NaN where no point has a scale."""
        return _mean(self.scaled, self.with_scale)

    @property
    def mae(self) -> FloatArray:
        """The mean absolute error; NaN where there is no point."""
        return _mean(self.absolute, self.points)

    @property
    def baseline_mae(self) -> FloatArray:
        """The mean absolute error of the seasonal naive; NaN where it has no point."""
        return _mean(self.absolute_baseline, self.with_baseline)

    @property
    def coverage(self) -> FloatArray:
        """The share of actuals inside the widest interval; NaN where there is none."""
        return _mean(self.inside, self.with_interval)


def _mean(total: FloatArray, number: FloatArray) -> FloatArray:
    return np.asarray(np.divide(total, number, out=np.full(len(total), np.nan), where=number > 0), np.float64)
