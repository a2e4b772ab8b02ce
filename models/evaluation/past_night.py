"""What an earlier night forecast, in the order of a later panel's series, beside the actuals that have arrived."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from models.arrays import BoolArray, FloatArray, IntArray
from models.panel.panel import Panel

FALLBACK = "fallback"
"""The name of the fallback among versions, in segments and in the table `score`."""
VERSION = "version="
"""The prefix of segments that hold the series which one version forecast."""


@dataclass(frozen=True)
class ForecastRows:
    """The rows of one stored night, column by column.

    Attributes:
        series: Shape (row,), positions in a panel's `series_ids`; -1 for a series that the panel does not hold.
        step: Shape (row,), 1..horizon.
        quantile_levels: Shape (level,), ascending.
        quantiles: Shape (row, level).
        median: Shape (row,).
        baseline: Shape (row,), the seasonal naive; NaN where there was none.
        versions: Names of the versions that forecast; "" for the fallback.
        version: Shape (row,), which of `versions` forecast the row's series, read at step 1; the first one everywhere
            where None.
    """

    series: IntArray
    step: IntArray
    quantile_levels: FloatArray
    quantiles: FloatArray
    median: FloatArray
    baseline: FloatArray
    versions: tuple[str, ...] = ("",)
    version: IntArray | None = None


@dataclass(frozen=True)
class PastNight:
    """The forecasts of one past cutoff, and their actuals.

    Attributes:
        cutoff_index: Grid position of the cutoff.
        quantile_levels: Shape (level,), ascending.
        quantiles: Shape (series, horizon, level); NaN where nothing was forecast.
        median: Shape (series, horizon).
        baseline: Shape (series, horizon), the seasonal naive; NaN where there was none.
        actual: Shape (series, horizon); NaN where not observed, or not yet.
        versions: Names of the versions that forecast, "" for the fallback; empty for a hindcast.
        version: Shape (series,), which of `versions` forecast each series, -1 where none did; None for a hindcast.
    """

    cutoff_index: int
    quantile_levels: FloatArray
    quantiles: FloatArray
    median: FloatArray
    baseline: FloatArray
    actual: FloatArray
    versions: tuple[str, ...] = ()
    version: IntArray | None = None

    @classmethod
    def of_rows(cls, rows: ForecastRows, panel: Panel, cutoff_index: int, horizon: int) -> Self:
        """Lay the rows of a stored night beside a later panel's actuals.

        Args:
            rows: Of the night.
            panel: The history as it is known now.
            cutoff_index: Grid position of the night's cutoff.
            horizon: The longest step of the night.
        """
        held = rows.series >= 0
        cell = rows.series[held], rows.step[held] - 1
        shape = len(panel), horizon
        quantiles = np.full((*shape, len(rows.quantile_levels)), np.nan)
        median, baseline, actual = (np.full(shape, np.nan) for _ in range(3))
        quantiles[cell], median[cell], baseline[cell] = rows.quantiles[held], rows.median[held], rows.baseline[held]
        steps_since = panel.cutoff_index - cutoff_index
        arrived = min(steps_since, horizon)
        if arrived > 0:
            actual[:, :arrived] = panel.tail(arrived, skip=steps_since - arrived)
        actual[np.isnan(median)] = np.nan
        first = held & (rows.step == 1)
        version = np.full(len(panel), -1)
        version[rows.series[first]] = 0 if rows.version is None else rows.version[first]
        levels = np.asarray(rows.quantile_levels, np.float64)
        return cls(cutoff_index, levels, quantiles, median, baseline, actual, rows.versions, version)

    @property
    def realised(self) -> BoolArray:
        """Where a forecast has its actual, shape (series, horizon)."""
        return ~np.isnan(self.actual) & ~np.isnan(self.median)

    @property
    def interval(self) -> tuple[FloatArray, FloatArray] | None:
        """Ends of the widest central interval, both of shape (series, horizon); None where the levels have none."""
        levels = self.quantile_levels
        if len(levels) < 2 or not np.isclose(levels[0] + levels[-1], 1.0):
            return None
        return self.quantiles[..., 0], self.quantiles[..., -1]

    def version_segments(self, mask: BoolArray) -> dict[str, BoolArray]:
        """The segments of the versions that forecast the series of a mask, the fallback among them.

        Args:
            mask: Shape (series,).

        Returns:
            Name to a mask of shape (series,), each within `mask`; none is empty.
        """
        segments = {f"{VERSION}{name or FALLBACK}": self.version == i for i, name in enumerate(self.versions)}
        return {name: found & mask for name, found in segments.items() if (found & mask).any()}

    def version_of(self, mask: BoolArray) -> str | None:
        """The version that forecast the series of a mask.

        Args:
            mask: Shape (series,).

        Returns:
            The version's name, whether or not the fallback forecast some of the series; `FALLBACK` where the fallback
            forecast all of them; None where several versions did, or none.
        """
        if self.version is None:
            return None
        names: set[str] = {self.versions[i] for i in np.unique(self.version[mask]).tolist() if i >= 0}
        models = names - {""}
        if len(models) == 1:
            return models.pop()
        return FALLBACK if names and not models else None
