"""Past forecasts beside what came true: metrics of one night's forecasts, and the loss of one evaluation.

A forecast of a night is judged on the steps whose actuals a later panel holds. The evaluation's
loss takes only the steps that came true since the evaluation before, from every night that
forecast them, so that each point counts on one evaluation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from models.arrays import BoolArray, FloatArray, IntArray
from models.evaluation.special_days import KindsOfDays, UnlikeDays
from models.evaluation.volume_classes import volume_segments
from models.metrics.statistics import as_quantiles, pinball_of_each
from models.panel.history_summary import Window, seasonal_changes
from models.panel.panel import Panel
from models.settings.monitoring import MonitorSettings

FALLBACK = "fallback"
"""What stands for a version where the fallback forecast."""
VERSION = "version="
"""How segments begin that hold what one version forecast of a night."""
MOST = 10.0
"""What one point counts for at most in an evaluation's figures, in units of its series' scale: a series that is
suddenly told in another unit must not be what the whole job is judged by."""


@dataclass(frozen=True)
class PastNight:
    """What one earlier night forecast, in the order of a later panel's series.

    Attributes:
        cutoff_index: Grid position of that night's cutoff.
        quantile_levels: Shape (level,), ascending.
        quantiles: Shape (series, horizon, level); NaN where that night did not forecast.
        median: Shape (series, horizon).
        baseline: Shape (series, horizon); NaN where there was none.
        actual: Shape (series, horizon); NaN where not observed, or not yet.
        versions: What forecast that night, "" for the fallback.
        version: Shape (series,), place among `versions` of what forecast each series; -1 where nothing did.
    """

    cutoff_index: int
    quantile_levels: FloatArray
    quantiles: FloatArray
    median: FloatArray
    baseline: FloatArray
    actual: FloatArray
    versions: tuple[str, ...]
    version: IntArray

    @property
    def realised(self) -> BoolArray:
        """Where a forecast has its actual, shape (series, horizon)."""
        return ~np.isnan(self.actual) & ~np.isnan(self.median)

    def version_segments(self, among: BoolArray) -> dict[str, BoolArray]:
        """Each version, and the fallback, as a segment of some series: name to a mask of shape (series,)."""
        masks = {f"{VERSION}{name or FALLBACK}": self.version == i for i, name in enumerate(self.versions)}
        return {name: mask & among for name, mask in masks.items() if (mask & among).any()}

    def version_of(self, mask: BoolArray) -> str | None:
        """The one version that forecast some series, beside the fallback or alone; None where several did."""
        found = {self.versions[i] for i in np.unique(self.version[mask]).tolist() if i >= 0}
        models = sorted(found - {""})
        return models[0] if len(models) == 1 else None if models or not found else FALLBACK


@dataclass(frozen=True)
class EvaluationLoss:
    """How far off the forecasts of newly realised points were, in units of each series' own scale, of which one point
    counts for `MOST` at most.

    Attributes:
        loss: Mean pinball loss over points and levels, scaled; NaN where no point was realised.
        baseline_loss: The same of the seasonal naive, on the points that have one.
        coverage: Share of the points inside the widest central interval; NaN where there is none.
        bias: Mean of median minus actual, scaled.
        n: Number of points.
        instability: Mean of |median of tonight - median of the night before| of the same day, scaled; NaN where there
            was no night before, or it shares no day with tonight.
        special_definition: What makes a point special, unlike the one which the naive repeats, see
            `KindsOfDays.text`; None where nothing does.
        special_n: How many are; None where nothing tells them apart.
        special_loss: What `loss` is, of those alone; NaN where there are none.
        special_baseline_loss: What `baseline_loss` is, of those alone.
    """

    loss: float
    baseline_loss: float
    coverage: float
    bias: float
    n: int
    instability: float = float("nan")
    special_definition: str | None = None
    special_n: int | None = None
    special_loss: float = float("nan")
    special_baseline_loss: float = float("nan")


def place_night(
    panel: Panel,
    cutoff_index: int,
    horizon: int,
    series: IntArray,
    step: IntArray,
    quantile_levels: Sequence[float],
    quantiles: FloatArray,
    median: FloatArray,
    baseline: FloatArray,
    versions: Sequence[str] = ("",),
    version: IntArray | None = None,
) -> PastNight:
    """Lay one night's stored rows beside the panel's actuals.

    Args:
        panel: Tonight's history.
        cutoff_index: Grid position of the night's cutoff.
        horizon: The longest step of the night.
        series: Shape (row,), positions in `panel.series_ids`; -1 for a series that is no longer there.
        step: Shape (row,), 1..horizon.
        quantile_levels: Ascending.
        quantiles: Shape (row, level).
        median: Shape (row,).
        baseline: Shape (row,), NaN where there was none.
        versions: What forecast, "" for the fallback.
        version: Shape (row,), place among `versions` of what forecast the row's series, read at step 1; the first one
            everywhere where None.
    """
    here = series >= 0
    where = series[here], step[here] - 1
    middle, naive = (np.full((len(panel), horizon), np.nan) for _ in range(2))
    stack = np.full((len(panel), horizon, len(quantile_levels)), np.nan)
    middle[where], naive[where], stack[where] = median[here], baseline[here], quantiles[here]
    actual = np.full((len(panel), horizon), np.nan)
    realised = min(panel.cutoff_index - cutoff_index, horizon)
    if realised > 0:
        actual[:, :realised] = panel.tail(realised, skip=panel.cutoff_index - cutoff_index - realised)
    actual[np.isnan(middle)] = np.nan
    by, first = np.full(len(panel), -1), here & (step == 1)
    by[series[first]] = 0 if version is None else version[first]
    levels = np.asarray(quantile_levels, np.float64)
    return PastNight(cutoff_index, levels, stack, middle, naive, actual, tuple(versions), by)


def scales_at(
    panel: Panel, season_length: int, cutoff_indices: Sequence[int], window: Window | None = None
) -> FloatArray:
    """Each series' in-sample mean of |y(t) - y(t - season)| as each night could know it.

    Args:
        panel: The series.
        season_length: In steps.
        cutoff_indices: Grid positions of the nights' cutoffs.
        window: Where the panel is not whole: no night is older than its summary, which tells the rest.

    Returns:
        Shape (cutoff, series), NaN where a series had no such pair yet.
    """
    nights, back = np.unique(np.asarray(cutoff_indices, np.int64), return_inverse=True)
    sums, counts = seasonal_changes(panel, season_length, nights, None if window is None else window.summary.until)
    if window is not None:
        place = window.place(panel.series_ids)
        sums[place] += window.summary.change[:, None]
        counts[place] += window.summary.changes[:, None]
    scales = np.divide(sums, counts, out=np.full(sums.shape, np.nan), where=counts > 0)
    return np.asarray(scales.T[back])


def newly_realised(night: PastNight, scale: FloatArray, after_index: int, special_days: UnlikeDays) -> FloatArray:
    """How far off one night was at each point that came true after grid position `after_index`.

    Args:
        night: The night.
        scale: Shape (series,); where NaN or zero, the mean size of the forecast's actuals, else 1.
        after_index: Points at or before it counted on an earlier evaluation.
        special_days: Of the night's series.

    Returns:
        Shape (point, 7): series, loss, baseline loss, inside, has interval, bias, unlike.
    """
    steps = night.cutoff_index + 1 + np.arange(night.actual.shape[1])
    series, step = np.nonzero(night.realised & (steps > after_index))
    judged = _judge_points(night, usable_scale(scale, night.actual), series, step)
    return np.column_stack([judged, special_days.at(series, night.cutoff_index, step + 1)])


def evaluation_losses(
    points: Sequence[FloatArray], segments: Mapping[str, BoolArray], kinds: KindsOfDays
) -> dict[str, EvaluationLoss]:
    """The loss of each segment over the points of all nights.

    Args:
        points: Those of each night, as `newly_realised` gives them, all in the same order of series.
        segments: Name to a mask of shape (series,).
        kinds: What told their days apart.
    """
    table = np.concatenate([np.empty((0, 7)), *points])
    owner = table[:, 0].astype(np.int64)
    return {name: _summarise(table[mask[owner]], kinds.text) for name, mask in segments.items()}


def _judge_points(night: PastNight, scale: FloatArray, series: IntArray, step: IntArray) -> FloatArray:
    """Columns series, loss, baseline loss, inside, has interval, bias; shape (point, 6)."""
    where, levels = (series, step), night.quantile_levels
    loss, baseline, bias = distances(
        night.actual[where], night.quantiles[where], night.median[where], night.baseline[where], levels, scale[series]
    )
    inside, has_interval = np.zeros(len(series)), np.zeros(len(series))
    if len(levels) > 1 and np.isclose(levels[0] + levels[-1], 1.0):
        quantiles = night.quantiles[where]
        inside = ((quantiles[:, 0] <= night.actual[where]) & (night.actual[where] <= quantiles[:, -1])).astype(float)
        has_interval += 1
    return np.column_stack([series, loss, baseline, inside, has_interval, bias])


def distances(
    actual: FloatArray,
    quantiles: FloatArray,
    median: FloatArray,
    naive: FloatArray,
    levels: FloatArray,
    unit: FloatArray,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """How far off each point was, in units of its series' scale: loss, the naive's loss, and median less actual.

    None is further than `MOST`.

    Args:
        actual: Shape (...), NaN where not observed.
        quantiles: Shape (..., level).
        median: Shape (...).
        naive: Shape (...), NaN where there was none.
        levels: Shape (level,).
        unit: Shape (...) or one that goes with it, above 0.
    """
    loss = pinball_of_each(actual, quantiles, levels) / unit
    baseline = pinball_of_each(actual, as_quantiles(naive, levels), levels) / unit
    return np.minimum(loss, MOST), np.minimum(baseline, MOST), np.clip((median - actual) / unit, -MOST, MOST)


def usable_scale(scale: FloatArray, values: FloatArray) -> FloatArray:
    """Scales without zero and NaN, shape (series,): a constant series is judged by the size of its own values.

    Args:
        scale: Shape (series,).
        values: Shape (series, step), NaN where there is none; 1 stands for the size where there is nothing else.
    """
    observed = ~np.isnan(values)
    size = np.where(observed, np.abs(values), 0.0).sum(axis=1) / np.maximum(observed.sum(axis=1), 1)
    size = np.where(size > 0, size, 1.0)
    return np.where(np.isnan(scale) | (scale <= 0), size, scale)


def _summarise(points: FloatArray, special_definition: str | None) -> EvaluationLoss:
    if not len(points):
        return EvaluationLoss(
            float("nan"), float("nan"), float("nan"), float("nan"), 0, special_definition=special_definition
        )
    with_interval, unlike = points[:, 4].sum(), points[points[:, 6] > 0]
    return EvaluationLoss(
        loss=_mean(points[:, 1]),
        baseline_loss=_mean(points[:, 2]),
        coverage=float(points[:, 3].sum() / with_interval) if with_interval else float("nan"),
        bias=_mean(points[:, 5]),
        n=len(points),
        special_definition=special_definition,
        special_n=None if special_definition is None else len(unlike),
        special_loss=_mean(unlike[:, 1]),
        special_baseline_loss=_mean(unlike[:, 2]),
    )


def _mean(of: FloatArray) -> float:
    """The mean of what is known; NaN where nothing is."""
    known = of[~np.isnan(of)]
    return float(known.mean()) if len(known) else float("nan")


def watched_segments(panel: Panel, monitor: MonitorSettings) -> dict[str, BoolArray]:
    """`segments_of` the columns that a job watches, and where it wants them its volume classes at the cutoff."""
    classes = volume_segments(panel, panel.cutoff_index) if monitor.volume_classes else {}
    return segments_of(panel, monitor.segments) | classes


def segments_of(panel: Panel, columns: Sequence[str]) -> dict[str, BoolArray]:
    """Masks of shape (series,) of the segment `all` and of each `column=value`."""
    segments = {"all": np.ones(len(panel), bool)}
    for column in columns:
        for value in np.unique(panel.static[column]):
            segments[f"{column}={value}"] = panel.static[column] == value
    return segments
