"""Level and scale of every series at every time step, from the past alone.

Networks learn shapes; how high a series lies and how far it swings is kept outside them
(in the M4 competition that was most of the gain over a plain recurrent network: Smyl 2020,
doi 10.1016/j.ijforecast.2019.03.017).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.panel import Panel

FloatArray = npt.NDArray[np.float64]


# Values that lie this many typical sizes from a series' first one are no longer followed.
ABSURD = 1e5


class Scaling(NamedTuple):
    """What is known of a series at each flat position, from that position and before.

    Attributes:
        level: Shape (total,), the trailing mean; 0 before the first observed value.
        scale: Shape (total,), the trailing standard deviation, never below a floor; > 0.
        spread: Shape (series,), mean absolute difference from the step before; > 0.
    """

    level: npt.NDArray[np.float32]
    scale: npt.NDArray[np.float32]
    spread: npt.NDArray[np.float32]


def scale_panel(panel: Panel, level_window: int, scale_window: int) -> Scaling:
    """Level and scale over the last steps, and over all steps so far where those hold too little.

    Args:
        panel: The series.
        level_window: Steps that the level looks back.
        scale_window: Steps that the scale looks back.

    Returns:
        Finite everywhere, whatever the panel holds.
    """
    # Sums of squares lose digits far from zero, so every series is measured from its own first value.
    values = panel.values.astype(np.float64)
    observed = panel.observed
    length = panel.lengths
    series = np.repeat(np.arange(len(panel)), length)
    place = np.arange(len(values)) - panel.offsets[:-1][series]
    origin = _first_observed(panel)
    centred = np.where(observed, values - origin[series], 0.0)
    # One running sum serves all series, so each is brought to size 1, and an absurd value is cut: neither a large
    # series nor a large value may take the digits of those after it.
    size = _typical_size(centred, series, len(panel))
    centred = np.clip(centred / size[series], -ABSURD, ABSURD)

    def trailing(array: FloatArray, back: int) -> FloatArray:
        """Sum over the last `back` places of the same series, the place itself included."""
        running = np.concatenate([[0.0], np.cumsum(array)])
        end = np.arange(1, len(array) + 1)
        return np.asarray(running[end] - running[end - np.minimum(back, place + 1)])

    everything = int(length.max()) if len(panel) else 1
    ones = observed.astype(np.float64)
    count, count_all = trailing(ones, level_window), trailing(ones, everything)
    total, total_all = trailing(centred, level_window), trailing(centred, everything)
    enough = count >= _enough(level_window)
    mean_all = total_all / np.maximum(count_all, 1)
    mean = np.where(enough, total / np.maximum(count, 1), mean_all)

    def deviation(back: int) -> tuple[FloatArray, FloatArray]:
        n = trailing(ones, back)
        average = trailing(centred, back) / np.maximum(n, 1)
        return np.sqrt(np.maximum(trailing(centred**2, back) / np.maximum(n, 1) - average**2, 0.0)), n

    wide, _ = deviation(everything)
    near, seen = deviation(scale_window)
    spread = np.where(seen >= _enough(scale_window), near, wide)
    level = mean * size[series] + origin[series]
    # A flat stretch would make a scale of nothing: at least a tenth of the usual swing and a thousandth of the level.
    floor = np.maximum(0.1 * wide * size[series], 1e-3 * np.abs(level))
    scale = np.maximum(spread * size[series], floor)
    scale = np.where(scale > 0, scale, 1.0)
    return Scaling(level.astype(np.float32), scale.astype(np.float32), _step_spread(panel).astype(np.float32))


def _enough(window: int) -> int:
    """How many observed values in a window are worth more than all before it."""
    return max(2, min(window, 8) // 2)


def _typical_size(centred: FloatArray, series: npt.NDArray[np.int64], count: int) -> FloatArray:
    """Shape (series,): the geometric mean of what is not zero; a single wild value hardly moves it."""
    there = centred != 0
    total = np.bincount(series[there], weights=np.log(np.abs(centred[there])), minlength=count)
    return np.asarray(np.exp(total / np.maximum(np.bincount(series[there], minlength=count), 1)))


def _first_observed(panel: Panel) -> FloatArray:
    """Shape (series,): each series' first observed value, 0 where there is none."""
    place = np.where(panel.observed, np.arange(len(panel.values)), len(panel.values))
    first = np.minimum.reduceat(np.append(place, len(place)), panel.offsets[:-1]) if len(panel) else place
    padded = np.append(panel.values.astype(np.float64), 0.0)
    inside = (first < panel.offsets[1:]) & (panel.lengths > 0)
    return np.where(inside, padded[np.where(inside, first, -1)], 0.0)


def _step_spread(panel: Panel) -> FloatArray:
    """Shape (series,): how far neighbouring observed values lie apart on average, 1 where they never differ."""
    values = panel.values.astype(np.float64)
    step = np.abs(np.diff(values, prepend=np.nan))
    step[panel.offsets[:-1][panel.lengths > 0]] = np.nan
    good = ~np.isnan(step)
    series = np.repeat(np.arange(len(panel)), panel.lengths)
    total = np.bincount(series[good], weights=step[good], minlength=len(panel))
    count = np.bincount(series[good], minlength=len(panel))
    spread = total / np.maximum(count, 1)
    return np.where(spread > 0, spread, 1.0)
