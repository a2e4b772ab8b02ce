"""How good forecasts were: every metric, for all steps together and for each step, of each segment.

A metric is a ratio of two sums. Each element of a forecast (one series at one step) adds a numerator to the one and a
denominator to the other; see `statistics`. Which elements are summed decides what the metric is about: a segment of
the series, a step of the horizon, or everything. Elements whose actual was not observed (NaN) are in neither sum.

scikit-learn is not used here, because its metrics take no NaN and one group of elements at a time. For 300 series, 28
steps, 7 quantile levels and 12 segments that takes 1.6 s for each night that is scored; summing takes 0.02 s. The tests
check every metric that scikit-learn has against it. The backtest, which evaluates once, uses it: see `mean_losses`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from models.arrays import BoolArray, FloatArray, FloatingArray, IntArray
from models.metrics.statistics import (
    Statistic,
    absolute_over_actual,
    checked,
    inside,
    mean_of,
    pinball_of_each,
    scaled,
    signed_over_actual,
    symmetric_percentage,
)


class Score(NamedTuple):
    """One metric of one segment.

    Attributes:
        metric: Its name, such as "mase".
        step: 1 .. horizon, or 0 for all steps together.
        value: NaN where nothing was observed, or where the denominators add up to zero.
        baseline_value: The same metric of the baseline; NaN where there is none.
        n: Number of elements that entered the value.
    """

    metric: str
    step: int
    value: float
    baseline_value: float
    n: int


def evaluate_segments(
    actual: FloatingArray,
    quantiles: FloatingArray,
    quantile_levels: FloatingArray,
    scale: FloatingArray,
    segments: Mapping[str, BoolArray],
    baseline: FloatingArray | None = None,
) -> dict[str, list[Score]]:
    """Every metric of each segment, for all steps together (step 0) and for each step.

    | metric | what it is |
    |---|---|
    | `mae`, `rmse` | mean absolute error and root mean squared error of the median, in the units of the series |
    | `wape` | sum of absolute errors over sum of absolute actuals |
    | `smape` | mean of 2 absolute error / (absolute actual + absolute median), in [0, 2]; 0 where both are zero |
    | `mase` | mean absolute error over `scale`; for all steps, first over each series and then over series |
    | `pinball_loss` | mean over quantile levels and elements, in the units of the series |
    | `weighted_quantile_loss` | mean over quantile levels of 2 x sum of pinball loss / sum of absolute actuals |
    | `scaled_quantile_loss` | mean over quantile levels and elements of pinball loss over `scale`; the monitored loss |
    | `bias` | sum of (median - actual) over sum of absolute actuals; above 0, forecasts are too high |
    | `coverage_80` | share of actuals inside the central 80 % interval; one for each pair of quantile levels |

    Args:
        actual: Shape (series, horizon); NaN where not observed.
        quantiles: Shape (series, horizon, level); the one at quantile level 0.5 is the point forecast.
        quantile_levels: Shape (level,), ascending, with 0.5 among them.
        scale: Shape (series,), see `seasonal_error`; series where it is NaN or 0 are in no scaled metric.
        segments: Name to a mask of shape (series,); segments may overlap.
        baseline: Shape (series, horizon, level), such as `naive_quantiles`; NaN where it has none, then left out. Its
            coverage is not given.

    Returns:
        For each segment its scores, metric by metric, step 0 first.

    Raises:
        ValueError: where shapes differ, quantile level 0.5 is missing, or a quantile of an observed actual is NaN.

    Sources: `mase` Hyndman & Koehler (2006); `smape` Makridakis (1993), without the factor 100 of the M4 competition;
    `weighted_quantile_loss` Gasthaus et al. (2019), the "wQL" of GluonTS; `pinball_loss` Koenker & Bassett (1978).

    >>> everyone = {"all": np.array([True])}
    >>> scores = evaluate_segments(np.array([[4.0]]), np.array([[[5.0]]]), np.array([0.5]), np.array([2.0]), everyone)
    >>> {score.metric: score.value for score in scores["all"] if score.step == 0}["mase"]
    0.5
    """
    actual, quantiles = checked(actual, quantiles, quantile_levels)
    # The mask of all series would copy every array.
    rows = {name: slice(None) if mask.all() else np.flatnonzero(mask) for name, mask in segments.items()}
    baseline_statistics: Iterator[Statistic] | None = None
    if baseline is not None:
        if baseline.shape != quantiles.shape:
            raise ValueError(f"baseline of shape {baseline.shape} does not fit quantiles of shape {quantiles.shape}.")
        both_known = np.where(np.isnan(baseline[..., 0]), np.nan, actual)
        baseline_statistics = _statistics(both_known, baseline, quantile_levels, scale)
    scores: dict[str, list[Score]] = {name: [] for name in segments}
    for statistic in _statistics(actual, quantiles, quantile_levels, scale):
        found = _aggregated(statistic, rows)
        other = None if baseline_statistics is None else _aggregated(next(baseline_statistics), rows)
        for name, (values, n) in found.items():
            # What a baseline's intervals hold says nothing about the forecast.
            without = other is None or statistic.metric.startswith("coverage")
            naive = np.full(len(values), np.nan) if without or other is None else other[name][0]
            scores[name] += [
                Score(statistic.metric, step, float(values[step]), float(naive[step]), n[step])
                for step in range(len(values))
            ]
    return scores


def _statistics(
    actual: FloatingArray, quantiles: FloatingArray, quantile_levels: FloatingArray, scale: FloatingArray
) -> Iterator[Statistic]:
    """The statistic of each metric in turn: one at a time, since each is as large as the forecasts."""
    quantile_levels = np.asarray(quantile_levels, np.float64)
    middle = np.flatnonzero(quantile_levels == 0.5)
    if not len(middle):
        raise ValueError(f"quantile_levels {quantile_levels.tolist()} lack 0.5, the point forecast; add it.")
    median = quantiles[..., middle[0]]
    error = np.abs(median - actual)
    pinball = pinball_of_each(actual, quantiles, quantile_levels)
    yield Statistic("mae", *mean_of(error))
    yield Statistic("rmse", *mean_of(error**2))
    yield Statistic("wape", *absolute_over_actual(actual, median))
    yield Statistic("smape", *symmetric_percentage(actual, median))
    yield Statistic("mase", *scaled(error, scale))
    yield Statistic("pinball_loss", *mean_of(pinball))
    yield Statistic("weighted_quantile_loss", 2 * pinball, np.abs(actual))
    yield Statistic("scaled_quantile_loss", *scaled(pinball, scale))
    yield Statistic("bias", *signed_over_actual(actual, median))
    for i in range(len(quantile_levels) // 2):
        low, high = quantile_levels[i], quantile_levels[-1 - i]
        if np.isclose(low + high, 1) and low < 0.5:
            width = round(100 * (high - low), 6)
            yield Statistic(f"coverage_{width:g}", *inside(actual, quantiles[..., i], quantiles[..., -1 - i]))


def _aggregated(statistic: Statistic, rows: Mapping[str, IntArray | slice]) -> dict[str, tuple[FloatArray, list[int]]]:
    """Of each segment: the metric for all steps together and for each step, and how many elements entered each."""
    metric, numerator, denominator = statistic
    used = ~np.isnan(numerator) & ~np.isnan(denominator)
    above, below = np.where(used, numerator, 0.0), np.where(used, denominator, 0.0)
    # For all steps together, MASE is a mean over series: each counts alike, however many steps were observed.
    share = 1.0 / np.maximum(used.sum(axis=1), 1) if metric == "mase" else None
    found: dict[str, tuple[FloatArray, list[int]]] = {}
    all_series: tuple[FloatArray, list[int]] | None = None
    for name, chosen in rows.items():
        if isinstance(chosen, slice) and all_series is not None:
            found[name] = all_series
            continue
        steps = above[chosen].sum(axis=0), below[chosen].sum(axis=0)
        if share is None:
            whole = tuple(each.sum() for each in steps)
        else:
            whole = tuple((each[chosen].sum(axis=1) * share[chosen]).sum() for each in (above, below))
        top, bottom = (np.append(first, rest) for first, rest in zip(whole, steps, strict=True))
        values = np.where(bottom > 0, top / np.where(bottom > 0, bottom, 1.0), np.nan)
        n = used[chosen].sum(axis=0)
        found[name] = np.sqrt(values) if metric == "rmse" else values, [int(n.sum()), *n.tolist()]
        all_series = found[name] if isinstance(chosen, slice) else all_series
    return found
