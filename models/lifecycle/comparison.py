"""Two networks compared: their losses on the same points, forecast from the same origins of one history.

Both forecast now, from origins in the past, from the same arrays. So neither has the advantage of a value that was
loaded late or revised, and nothing has to be stored for a comparison. A window sees values up to its own origin only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import gcd

import numpy as np

from models.arrays import BoolArray, FloatArray, IntArray
from models.lifecycle.paired_sums import PairedSums
from models.metrics.statistics import pinball_of_each
from models.network.forecaster import Forecaster
from models.panel.panel import Panel
from models.settings.forecast import ForecastSettings
from models.training.split import choose_windows

# Each network forecasts at most this many windows: a second of work, whatever the number of series.
MOST_WINDOWS = 4_096
WINDOWS_AT_ONCE = 512


@dataclass(frozen=True)
class Rivals:
    """Two networks and the history on which they are compared.

    Attributes:
        challenger: One network.
        champion: The other; both forecast on the panel's grid.
        panel: The history.
        forecast: The bounds of the forecasts.
        segments: Name to a mask of shape (series,).
        stride: Steps from one origin to the next.
    """

    challenger: Forecaster
    champion: Forecaster
    panel: Panel
    forecast: ForecastSettings
    segments: Mapping[str, BoolArray]
    stride: int = 1


@dataclass(frozen=True)
class Comparison:
    """The losses of both networks.

    Attributes:
        by_step: Shape (step, 5), the `PairedSums` of each judged step of time, oldest first.
        segments: Those of each segment, over all steps.
    """

    by_step: FloatArray
    segments: dict[str, PairedSums]

    @property
    def total(self) -> PairedSums:
        """Over all steps."""
        return PairedSums(*self.by_step.sum(axis=0).tolist())


@dataclass(frozen=True)
class _Windows:
    """Pairs of a series and an origin.

    Attributes:
        series: Shape (window,), rows of the panel.
        back: Shape (window,), steps from the origin to the cutoff.
    """

    series: IntArray
    back: IntArray


def look_back(challenger: Forecaster, champion: Forecaster, judged: int) -> int:
    """How many steps before the cutoff a comparison over the last `judged` steps needs."""
    return max(challenger.look_back, champion.look_back) + judged + challenger.plan.horizon


def compare(rivals: Rivals, judged: int, *, oldest: int | None = None, eligible: BoolArray | None = None) -> Comparison:
    """Forecast the last steps of the history with both networks, and compare the forecasts with the values.

    The newest origin lies one stride before the cutoff, so that every step of the horizon counts alike. Of many series,
    each is forecast from some of the origins only.

    Args:
        rivals: The networks and the history.
        judged: How many of the newest steps are judged.
        oldest: Most steps from an origin to the cutoff; None for every origin from which a judged step can be forecast.
        eligible: Shape (series,), the series to forecast; None for all that are not refused.
    """
    panel, horizon = rivals.panel, rivals.panel.horizon
    usable = np.isin(panel.series_ids, panel.accepted_ids) if eligible is None else eligible
    farthest = judged + horizon - 1 if oldest is None else min(oldest, judged + horizon - 1)
    windows = _choose_windows(np.flatnonzero(usable), np.arange(rivals.stride, farthest + 1, rivals.stride))
    if not len(windows.series) or judged < 1:
        nothing = np.zeros((max(judged, 0), len(PairedSums._fields)))
        return Comparison(nothing, {name: PairedSums() for name in rivals.segments})
    near, windows, series = _shortened(rivals, windows, judged)
    # Steps from each point to the cutoff, shape (window, horizon).
    to_cutoff = windows.back[:, None] - 1 - np.arange(horizon)
    inside = (to_cutoff >= 0) & (to_cutoff < judged)
    values = near.tail(judged + horizon)[windows.series[:, None], judged + horizon - 1 - np.maximum(to_cutoff, 0)]
    points = _points(rivals, near, windows, np.where(inside, values, np.nan).astype(np.float64))
    by_step = np.zeros((judged + 1, len(PairedSums._fields)))
    np.add.at(by_step, np.where(inside, judged - 1 - to_cutoff, judged).ravel(), points.reshape(-1, points.shape[-1]))
    of_window = points.sum(axis=1)
    return Comparison(
        by_step[:judged],
        {name: PairedSums(*of_window[mask[series]].sum(axis=0).tolist()) for name, mask in rivals.segments.items()},
    )


def compare_held_out(rivals: Rivals, age: int) -> Comparison:
    """Compare a network that was just trained with the champion, on the newest steps, from which neither has learnt.

    Args:
        rivals: The challenger was just trained on this history; its weights before settling forecast.
        age: Steps since the champion was trained.
    """
    panel, trained = rivals.panel, rivals.challenger
    unseen = panel.offsets[1:] - choose_windows(panel.offsets, panel.observed, trained.plan).end
    accepted = np.isin(panel.series_ids, panel.accepted_ids)
    judged = int(min(np.median(unseen[accepted]), age)) if accepted.any() else 0
    before = Rivals(trained.before_settling(), rivals.champion, panel, rivals.forecast, rivals.segments, rivals.stride)
    return compare(before, judged, eligible=accepted & (unseen >= judged))


def _choose_windows(series: IntArray, backs: IntArray) -> _Windows:
    """All pairs of a series and an origin, or as many as may be, spread evenly over both."""
    count = len(series) * len(backs)
    every = max(1, -(-count // MOST_WINDOWS))
    # With a common divisor, some origins would never be chosen.
    while gcd(every, len(backs) or 1) > 1:
        every += 1
    chosen = np.arange(0, count, every)
    return _Windows(series[chosen // max(len(backs), 1)], backs[chosen % max(len(backs), 1)])


def _shortened(rivals: Rivals, windows: _Windows, judged: int) -> tuple[Panel, _Windows, IntArray]:
    """The part of the panel that the windows need, the windows in it, and the panel's row of each window's series.

    Windows with less than two seasons before their origin are left out.
    """
    panel = rivals.panel
    kept, row = np.unique(windows.series, return_inverse=True)
    others = panel.series_ids[np.isin(np.arange(len(panel)), kept, invert=True)]
    needed = look_back(rivals.challenger, rivals.champion, judged)
    near = panel.without(set(others.tolist())).newest(needed)
    able = near.lengths[row] - windows.back > 2 * near.season_lengths[0]
    return near, _Windows(row[able], windows.back[able]), windows.series[able]


def _points(rivals: Rivals, panel: Panel, windows: _Windows, actual: FloatArray) -> FloatArray:
    """The `PairedSums` of each point, shape (window, horizon, 5); zeros where the actual or a forecast is not known.

    Args:
        rivals: The networks.
        panel: The part of the history that the windows need.
        windows: Pairs of a series of that part and an origin.
        actual: Shape (window, horizon); NaN where not judged.
    """
    both = [_quantiles(network, rivals, panel, windows) for network in (rivals.challenger, rivals.champion)]
    quantile_levels = np.array(rivals.challenger.plan.quantile_levels)
    unit = _units(panel)[windows.series]
    known = ~np.isnan(actual) & np.all([np.isfinite(each).all(axis=-1) for each in both], axis=0)
    columns = [
        np.ones(actual.shape),
        *(pinball_of_each(actual, each, quantile_levels) / unit[:, None] for each in both),
        *((each[..., 0] <= actual) & (actual <= each[..., -1]) for each in both),
    ]
    return np.where(known[..., None], np.stack(columns, axis=-1), 0.0)


def _quantiles(network: Forecaster, rivals: Rivals, panel: Panel, windows: _Windows) -> FloatArray:
    """Forecasts of one network, shape (window, horizon, level)."""
    bounds = network.bounds(panel, rivals.forecast)
    arrays = network.flatten(panel)
    origin = panel.offsets[1:][windows.series] - 1 - windows.back
    found = np.empty((len(origin), panel.horizon, len(network.plan.quantile_levels)))
    for first in range(0, len(origin), WINDOWS_AT_ONCE):
        part = slice(first, first + WINDOWS_AT_ONCE)
        found[part] = network.quantiles_at(panel, arrays, windows.series[part], origin[part], bounds)
    return found


def _units(panel: Panel) -> FloatArray:
    """Shape (series,): mean |y(t) - y(t - season)|, else the mean size, else 1; over the panel's steps alone."""
    season = panel.season_lengths[0]
    values = panel.tail(int(panel.lengths.max())).astype(np.float64)
    change = _row_means(np.abs(values[:, season:] - values[:, :-season]))
    size = _row_means(np.abs(values))
    return np.where(change > 0, change, np.where(size > 0, size, 1.0))


def _row_means(values: FloatArray) -> FloatArray:
    """Mean of each row, 0 where all of it is NaN."""
    known = ~np.isnan(values)
    return np.asarray(np.where(known, values, 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1))
