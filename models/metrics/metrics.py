"""How good forecasts were.

A metric is a statistic of each element, a numerator over a denominator, summed over the
elements that one asks about: all of them, one step of the horizon, one group of series.
Not-observed actuals (NaN) are left out of every sum.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import numpy as np
import sklearn.metrics

from models.arrays import BoolArray, FloatArray, FloatingArray, IntArray
from models.metrics.statistics import (
    absolute_over_actual,
    as_quantiles,
    checked,
    each_series_alike,
    inside,
    observed_pairs,
    one_each,
    pinball_of_each,
    ratio,
    scaled,
    signed_over_actual,
    symmetric_percentage,
)


class Score(NamedTuple):
    """One metric of one group of elements.

    Attributes:
        metric: Its name, such as "mase".
        step: 1 .. horizon, or 0 for all steps together.
        value: NaN where nothing was observed, or nothing could be divided by.
        baseline_value: The same of the baseline; NaN where there is none.
        n: Observed elements that entered the value.
    """

    metric: str
    step: int
    value: float
    baseline_value: float
    n: int


def mean_absolute_error(actual: FloatingArray, predicted: FloatingArray) -> float:
    """Mean absolute error, in the units of `actual`; NaN where nothing was observed.

    Args:
        actual: Shape (series, horizon); NaN where not observed, then left out.
        predicted: Shape (series, horizon), without NaN where `actual` was observed.

    Raises:
        ValueError: where the shapes do not agree, or a prediction of an observed actual is NaN.

    >>> mean_absolute_error(np.array([[1.0, np.nan]]), np.array([[3.0, 9.0]]))
    2.0
    """
    return _of_pairs(sklearn.metrics.mean_absolute_error, actual, predicted)


def root_mean_squared_error(actual: FloatingArray, predicted: FloatingArray) -> float:
    """Root of the mean squared error, in the units of `actual`; arguments as `mean_absolute_error`."""
    return _of_pairs(sklearn.metrics.root_mean_squared_error, actual, predicted)


def weighted_absolute_percentage_error(actual: FloatingArray, predicted: FloatingArray) -> float:
    """Sum of absolute errors over the sum of absolute actuals, as a fraction; NaN where all actuals are zero.

    Arguments as `mean_absolute_error`.
    """
    return ratio(*absolute_over_actual(*observed_pairs(actual, predicted)))


def symmetric_mape(actual: FloatingArray, predicted: FloatingArray) -> float:
    """Mean of 2 |error| / (|actual| + |predicted|), a fraction in [0, 2]; 0 where both are zero.

    Arguments as `mean_absolute_error`.

    Source: Makridakis (1993), as in the M4 competition but without its factor 100.
    """
    return ratio(*symmetric_percentage(*observed_pairs(actual, predicted)))


def mean_absolute_scaled_error(actual: FloatingArray, predicted: FloatingArray, scale: FloatingArray) -> float:
    """Mean absolute error in units of the seasonal naive's own, first over each series, then over series.

    Args:
        actual: Shape (series, horizon); NaN where not observed, then left out.
        predicted: Shape (series, horizon).
        scale: Shape (series,), the `seasonal_error` of each history; series where it is NaN or 0 are left out.

    Returns:
        Without unit; below 1 is better than the naive was in sample. NaN where no series counts.

    Source: Hyndman & Koehler (2006).
    """
    actual, predicted = checked(actual, predicted)
    return ratio(*each_series_alike(*scaled(np.abs(predicted - actual), scale)))


def pinball_loss(actual: FloatingArray, predicted: FloatingArray, quantile_levels: FloatingArray) -> FloatArray:
    """Mean pinball (quantile) loss at each level; lower is better.

    Args:
        actual: Shape (series, horizon); NaN where not observed, then left out.
        predicted: Shape (series, horizon, level), in the units of `actual`.
        quantile_levels: Shape (level,), each in (0, 1).

    Returns:
        Shape (level,), in the units of `actual`; NaN where nothing was observed.

    Raises:
        ValueError: where the shapes do not agree; names both.

    Source: Koenker & Bassett (1978), without the factor 2 that some libraries carry.

    >>> pinball_loss(np.array([[10.0]]), np.array([[[8.0, 12.0]]]), np.array([0.1, 0.5]))
    array([0.2, 1. ])
    """
    actual, predicted = checked(actual, predicted, quantile_levels)

    def at(level: float) -> Callable[[FloatArray, FloatArray], float]:
        return lambda y, p: sklearn.metrics.mean_pinball_loss(y, p, alpha=level)

    return np.array([_of_pairs(at(float(q)), actual, predicted[..., i]) for i, q in enumerate(quantile_levels)])


def weighted_quantile_loss(actual: FloatingArray, predicted: FloatingArray, quantile_levels: FloatingArray) -> float:
    """Mean over levels of 2 x sum of pinball loss / sum of |actual|, all elements pooled.

    Arguments as `pinball_loss`; NaN where all actuals are zero or none was observed.

    Source: Gasthaus et al. (2019); the "wQL" of GluonTS and the Chronos benchmark.
    """
    actual, predicted = checked(actual, predicted, quantile_levels)
    return ratio(2 * pinball_of_each(actual, predicted, quantile_levels), np.abs(actual))


def mean_scaled_quantile_loss(
    actual: FloatingArray, predicted: FloatingArray, quantile_levels: FloatingArray, scale: FloatingArray
) -> float:
    """Mean pinball loss over levels and elements, in units of each series' scale: the loss that is watched.

    Args:
        actual: Shape (series, horizon); NaN where not observed, then left out.
        predicted: Shape (series, horizon, level), or (series, horizon) for a forecast of one number, which
            then stands for every quantile.
        quantile_levels: Shape (level,), each in (0, 1).
        scale: Shape (series,); series where it is NaN or 0 are left out.
    """
    quantiles = as_quantiles(predicted, quantile_levels) if predicted.ndim == actual.ndim else predicted
    actual, quantiles = checked(actual, quantiles, quantile_levels)
    return ratio(*scaled(pinball_of_each(actual, quantiles, quantile_levels), scale))


def coverage(actual: FloatingArray, lower: FloatingArray, upper: FloatingArray) -> float:
    """Share of observed actuals from `lower` to `upper`, both included; all of shape (series, horizon)."""
    _, lower = checked(actual, lower)
    actual, upper = checked(actual, upper)
    return ratio(*inside(actual, lower, upper))


def bias(actual: FloatingArray, predicted: FloatingArray) -> float:
    """Sum of (predicted - actual) over the sum of |actual|, a fraction; above 0 is too high.

    Arguments as `mean_absolute_error`; NaN where all actuals are zero.
    """
    return ratio(*signed_over_actual(*observed_pairs(actual, predicted)))


def seasonal_error(values: FloatingArray, offsets: IntArray, season_length: int) -> FloatArray:
    """Each series' in-sample mean of |y(t) - y(t - season_length)|: the scale of MASE.

    Args:
        values: Shape (total,), series end to end; NaN where not observed, such pairs are left out.
        offsets: Shape (series + 1,); series `i` is `values[offsets[i]:offsets[i + 1]]`.
        season_length: In steps.

    Returns:
        Shape (series,), in the units of the series; NaN where a series has no such pair.
    """
    if season_length < 1:
        raise ValueError(f"season_length {season_length} is a number of steps; give 1 or more.")
    later = np.arange(season_length, len(values))
    series = np.searchsorted(offsets, later, side="right") - 1
    difference = np.abs(values[season_length:].astype(np.float64) - values[: max(0, len(values) - season_length)])
    # A pair across the border of two series is none.
    paired = (later - season_length >= offsets[series]) & ~np.isnan(difference)
    count = np.bincount(series[paired], minlength=len(offsets) - 1)
    total = np.bincount(series[paired], weights=difference[paired], minlength=len(offsets) - 1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def evaluate(
    actual: FloatingArray,
    quantiles: FloatingArray,
    quantile_levels: FloatingArray,
    scale: FloatingArray,
    baseline: FloatingArray | None = None,
    by_step: bool = True,
) -> list[Score]:
    """Every metric of one group of series, over all steps and for each step.

    Args:
        actual: Shape (series, horizon); NaN where not observed, then left out.
        quantiles: Shape (series, horizon, level); the one at 0.5 is the point forecast.
        quantile_levels: Shape (level,), ascending, with 0.5 among them.
        scale: Shape (series,), see `seasonal_error`.
        baseline: Shape (series, horizon), a forecast of one number; NaN where it has none, then left out.
        by_step: Whether to give each step's metrics beside those of all steps.

    Returns:
        Scores named mae, rmse, wape, smape, mase, pinball_loss, weighted_quantile_loss, scaled_quantile_loss, bias,
        and coverage_80 and the like for every central interval among the levels, which a baseline has not.

    Raises:
        ValueError: where the shapes do not agree, 0.5 is missing, or a quantile of an observed actual is NaN.
    """
    everybody = {"all": np.ones(len(actual), bool)}
    found = evaluate_segments(actual, quantiles, quantile_levels, scale, everybody, baseline)["all"]
    return found if by_step else [score for score in found if score.step == 0]


def evaluate_segments(
    actual: FloatingArray,
    quantiles: FloatingArray,
    quantile_levels: FloatingArray,
    scale: FloatingArray,
    segments: Mapping[str, BoolArray],
    baseline: FloatingArray | None = None,
) -> dict[str, list[Score]]:
    """`evaluate` of several groups of the same series, which costs little more than of one.

    Args:
        actual: As in `evaluate`, as are the others.
        quantiles: Shape (series, horizon, level).
        quantile_levels: Shape (level,).
        scale: Shape (series,).
        segments: Name to a mask of shape (series,); they may overlap.
        baseline: Shape (series, horizon).

    Returns:
        The scores of each segment, those of all steps and of each step.
    """
    actual, quantiles = checked(actual, quantiles, quantile_levels)
    # The mask of all series would copy every array.
    rows = {name: slice(None) if mask.all() else np.flatnonzero(mask) for name, mask in segments.items()}
    of_baseline: Iterator[tuple[str, FloatArray, FloatArray]] | None = None
    if baseline is not None:
        if baseline.shape != actual.shape:
            raise ValueError(f"baseline of shape {baseline.shape} is not for actuals of shape {actual.shape}.")
        seen = np.where(np.isnan(baseline), np.nan, actual)
        of_baseline = _statistics(seen, as_quantiles(baseline, quantile_levels), quantile_levels, scale)
    found: dict[str, list[Score]] = {name: [] for name in segments}
    for metric, numerator, denominator in _statistics(actual, quantiles, quantile_levels, scale):
        sums = _sums(metric, numerator, denominator, rows)
        other = None if of_baseline is None else _sums(*next(of_baseline), rows)
        for name, (values, n) in sums.items():
            # What a single number has no interval for.
            without = other is None or metric.startswith("coverage")
            naive = np.full(len(values), np.nan) if without or other is None else other[name][0]
            found[name] += [Score(metric, i, float(values[i]), float(naive[i]), n[i]) for i in range(len(values))]
    return found


def _statistics(
    actual: FloatingArray, quantiles: FloatingArray, quantile_levels: FloatingArray, scale: FloatingArray
) -> Iterator[tuple[str, FloatArray, FloatArray]]:
    """Numerator and denominator of each metric in turn, each of shape (series, horizon), NaN where not observed."""
    levels = np.asarray(quantile_levels, np.float64)
    middle = np.flatnonzero(levels == 0.5)
    if not len(middle):
        raise ValueError(f"quantile_levels {levels.tolist()} lack 0.5, the point forecast; add it.")
    median = quantiles[..., middle[0]]
    error = np.abs(median - actual)
    pinball = pinball_of_each(actual, quantiles, levels)
    one = one_each(actual)
    yield "mae", error, one
    yield "rmse", error**2, one
    yield "wape", *absolute_over_actual(actual, median)
    yield "smape", *symmetric_percentage(actual, median)
    yield "mase", *scaled(error, scale)
    yield "pinball_loss", pinball, one
    yield "weighted_quantile_loss", 2 * pinball, np.abs(actual)
    yield "scaled_quantile_loss", *scaled(pinball, scale)
    yield "bias", *signed_over_actual(actual, median)
    for i in range(len(levels) // 2):
        if np.isclose(levels[i] + levels[-1 - i], 1) and levels[i] < 0.5:
            width = round(100 * (levels[-1 - i] - levels[i]), 6)
            yield f"coverage_{width:g}", *inside(actual, quantiles[..., i], quantiles[..., -1 - i])


def _sums(
    metric: str, numerator: FloatArray, denominator: FloatArray, rows: Mapping[str, IntArray | slice]
) -> dict[str, tuple[FloatArray, list[int]]]:
    """Of each segment the metric of all steps together, then of each step, and how many elements entered it."""
    used = ~np.isnan(numerator) & ~np.isnan(denominator)
    above, below = np.where(used, numerator, 0.0), np.where(used, denominator, 0.0)
    # Each series counts alike in all steps together, however many of them it has.
    share = 1.0 / np.maximum(used.sum(axis=1), 1) if metric == "mase" else None
    found: dict[str, tuple[FloatArray, list[int]]] = {}
    everybody: tuple[FloatArray, list[int]] | None = None
    for name, mine in rows.items():
        if isinstance(mine, slice) and everybody is not None:
            found[name] = everybody
            continue
        by_step = above[mine].sum(axis=0), below[mine].sum(axis=0)
        if share is None:
            whole = tuple(each.sum() for each in by_step)
        else:
            whole = tuple((each[mine].sum(axis=1) * share[mine]).sum() for each in (above, below))
        top, bottom = (np.append(first, rest) for first, rest in zip(whole, by_step, strict=True))
        values = np.where(bottom > 0, top / np.where(bottom > 0, bottom, 1.0), np.nan)
        n = used[mine].sum(axis=0)
        found[name] = np.sqrt(values) if metric == "rmse" else values, [int(n.sum()), *n.tolist()]
        everybody = found[name] if isinstance(mine, slice) else everybody
    return found


def _of_pairs(
    metric: Callable[[FloatArray, FloatArray], float], actual: FloatingArray, predicted: FloatingArray
) -> float:
    y, p = observed_pairs(actual, predicted)
    return float(metric(y, p)) if len(y) else float("nan")
