"""Two networks beside each other: what both lose on the same points, forecast from the same origins of one history.

Both are asked now, from origins in the past, over the same arrays: neither has the advantage of a value that was loaded
late or revised, and nothing needs to have been kept. What a window sees ends at its own origin.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import gcd

import numpy as np

from models.arrays import BoolArray, FloatArray, IntArray
from models.lifecycle.promotion import Sums
from models.metrics.statistics import pinball_of_each
from models.network.forecaster import Forecaster
from models.panel.panel import Panel
from models.settings.forecast import ForecastSettings
from models.training.split import choose_windows

# Windows that each network is asked for, at most: a second of work, whatever the number of series.
MOST_WINDOWS = 4_096
WINDOWS_AT_ONCE = 512


@dataclass(frozen=True)
class Paired:
    """What a challenger and a champion have lost.

    Attributes:
        by_step: Shape (step, 5), `Sums` of each judged step of time, oldest first.
        segments: Those of all steps of each segment.
    """

    by_step: FloatArray
    segments: dict[str, Sums]

    @property
    def total(self) -> Sums:
        """Of all steps."""
        return Sums(*self.by_step.sum(axis=0).tolist())


def reach_of(challenger: Forecaster, champion: Forecaster, judged: int) -> int:
    """How many steps before the cutoff a comparison over the last `judged` steps looks at."""
    return max(challenger.look_back, champion.look_back) + judged + challenger.plan.horizon


def compare(
    challenger: Forecaster,
    champion: Forecaster,
    panel: Panel,
    forecast: ForecastSettings,
    segments: Mapping[str, BoolArray],
    judged: int,
    *,
    stride: int = 1,
    oldest: int | None = None,
    eligible: BoolArray | None = None,
) -> Paired:
    """Forecast the last steps of a panel with both networks, and judge both by what came.

    Origins lie a stride apart, the newest one a stride before the cutoff, so that every step of the horizon counts
    alike; of many series each is asked from some of them only.

    Args:
        challenger: One network.
        champion: The other; both are of the panel's grid.
        panel: The history.
        forecast: Bounds.
        segments: Name to a mask of shape (series,).
        judged: How many of the newest steps are judged.
        stride: Steps from one origin to the next.
        oldest: No origin is older than so many steps before the cutoff; None for all from which a judged step can be
            forecast.
        eligible: Shape (series,), which series are looked at; None for all that are not refused.
    """
    usable = np.isin(panel.series_ids, panel.accepted_ids) if eligible is None else eligible
    farthest = judged + panel.horizon - 1 if oldest is None else min(oldest, judged + panel.horizon - 1)
    backs = np.arange(stride, farthest + 1, stride)
    series, back = _windows(np.flatnonzero(usable), backs)
    if not len(series) or judged < 1:
        return Paired(np.zeros((max(judged, 0), len(Sums._fields))), {name: Sums() for name in segments})
    kept, place = np.unique(series, return_inverse=True)
    others = panel.series_ids[np.isin(np.arange(len(panel)), kept, invert=True)]
    near = panel.without(set(others.tolist())).newest(reach_of(challenger, champion, judged))
    # What can be told at an origin without a season before it is not worth comparing.
    able = near.lengths[place] - back > 2 * near.season_lengths[0]
    series, place, back = series[able], place[able], back[able]
    step = np.arange(near.horizon)
    target = back[:, None] - 1 - step
    actual = near.tail(judged + near.horizon)[place[:, None], judged + near.horizon - 1 - np.maximum(target, 0)]
    actual = np.where((target >= 0) & (target < judged), actual, np.nan).astype(np.float64)
    mine, its = (_quantiles(each, near, place, back, each.bounds(panel, forecast)) for each in (challenger, champion))
    levels = np.array(challenger.plan.quantile_levels)
    points = _points(actual, mine, its, levels, _units(near)[place])
    at = np.where((target >= 0) & (target < judged), judged - 1 - target, judged)
    by_step = np.zeros((judged + 1, len(Sums._fields)))
    np.add.at(by_step, at.ravel(), points.reshape(-1, points.shape[-1]))
    of_window = points.sum(axis=1)
    return Paired(
        by_step[:judged],
        {name: Sums(*of_window[mask[series]].sum(axis=0).tolist()) for name, mask in segments.items()},
    )


def compare_held_out(
    trained: Forecaster,
    champion: Forecaster,
    panel: Panel,
    forecast: ForecastSettings,
    segments: Mapping[str, BoolArray],
    age: int,
    *,
    stride: int = 1,
) -> Paired:
    """What a network that was just trained and the champion lose on the newest steps, from which neither has learnt.

    Args:
        trained: Trained on this panel; the weights that validation chose are asked.
        champion: The other.
        panel: The history.
        forecast: Bounds.
        segments: Name to a mask of shape (series,).
        age: Steps since the champion was trained.
        stride: Steps from one origin to the next.
    """
    unseen = panel.offsets[1:] - choose_windows(panel.offsets, panel.observed, trained.plan).end
    accepted = np.isin(panel.series_ids, panel.accepted_ids)
    judged = int(min(np.median(unseen[accepted]), age)) if accepted.any() else 0
    eligible = accepted & (unseen >= judged)
    before = trained.before_settling()
    return compare(before, champion, panel, forecast, segments, judged, stride=stride, eligible=eligible)


def _windows(series: IntArray, backs: IntArray) -> tuple[IntArray, IntArray]:
    """Pairs of a series and steps back to an origin: all, or as many as are asked for, evenly of both."""
    count = len(series) * len(backs)
    every = max(1, -(-count // MOST_WINDOWS))
    while gcd(every, len(backs) or 1) > 1:  # else some origins would never have their turn
        every += 1
    chosen = np.arange(0, count, every)
    return series[chosen // max(len(backs), 1)], backs[chosen % max(len(backs), 1)]


def _quantiles(
    forecaster: Forecaster, panel: Panel, series: IntArray, back: IntArray, bounds: tuple[float | None, float | None]
) -> FloatArray:
    """Shape (window, horizon, level), from origins so many steps back."""
    flat = forecaster.flatten(panel)
    origin = panel.offsets[1:][series] - 1 - back
    found = np.empty((len(series), panel.horizon, len(forecaster.plan.quantile_levels)))
    for first in range(0, len(series), WINDOWS_AT_ONCE):
        part = slice(first, first + WINDOWS_AT_ONCE)
        found[part] = forecaster.quantiles_at(panel, flat, series[part], origin[part], bounds)
    return found


def _units(panel: Panel) -> FloatArray:
    """Shape (series,): mean |y(t) - y(t - season)|, else the mean size, else 1; of the panel's steps alone."""
    season = panel.season_lengths[0]
    values = panel.tail(int(panel.lengths.max())).astype(np.float64)
    change = np.abs(values[:, season:] - values[:, :-season])
    size = _mean(np.abs(values))
    unit = _mean(change)
    return np.where(unit > 0, unit, np.where(size > 0, size, 1.0))


def _mean(values: FloatArray) -> FloatArray:
    """Of each row, 0 where nothing is known."""
    known = ~np.isnan(values)
    return np.asarray(np.where(known, values, 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1))


def _points(actual: FloatArray, mine: FloatArray, its: FloatArray, levels: FloatArray, unit: FloatArray) -> FloatArray:
    """`Sums` of each point, shape (window, horizon, 5); zeros where one of the three is not known."""
    known = ~np.isnan(actual) & np.isfinite(mine).all(axis=-1) & np.isfinite(its).all(axis=-1)
    columns = [
        np.ones(actual.shape),
        *(pinball_of_each(actual, each, levels) / unit[:, None] for each in (mine, its)),
        *((each[..., 0] <= actual) & (actual <= each[..., -1]) for each in (mine, its)),
    ]
    return np.where(known[..., None], np.stack(columns, axis=-1), 0.0)
