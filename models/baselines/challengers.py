"""Challengers of the network in a backtest: AutoETS and Theta, as statsforecast computes them.

statsforecast is an optional extra that takes seconds to import; only the function that forecasts a series imports it. A
challenger sees one series at a time, from its first observed value on, without covariates, with the panel's shortest
season. It accepts no gaps, so each gap is filled with the value before it.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from models.arrays import FloatArray, FloatingArray, StringArray
from models.baselines.fallback import fallback
from models.errors import InputError
from models.extras import require_extra
from models.panel.panel import Panel

Attempt = tuple[FloatArray | None, str]
Apply = Callable[[Callable[[FloatArray], Attempt], Iterable[FloatArray]], Iterable[Attempt]]

# The name of each challenger, and of its class in statsforecast.models.
CHALLENGERS = {"auto_ets": "AutoETS", "theta": "Theta"}


@dataclass(frozen=True)
class Challenge:
    """One challenger's forecasts of a panel.

    Attributes:
        quantiles: Shape (series, horizon, level), in the units of the series; never NaN, never crossing.
        reason: Shape (series,), why the fallback was used for a series, "" where it was not.
    """

    quantiles: FloatArray
    reason: StringArray


def require_challengers(names: Sequence[str]) -> None:
    """Check that every challenger is known, and that the package that computes it is installed.

    Raises:
        InputError: where one is not; names the remedy.
    """
    unknown = [name for name in names if name not in CHALLENGERS]
    if unknown:
        raise InputError(f"No challenger is called {', '.join(unknown[:5])}; choose from {', '.join(CHALLENGERS)}.")
    if names:
        computed = f"{' and '.join(names)} are computed by statsforecast, which is"
        require_extra("statsforecast", computed, "challengers", "leave the challengers out")


def challenge(
    name: str,
    panel: Panel,
    quantile_levels: Sequence[float] | FloatArray,
    lower_bound: float | None = None,
    upper_bound: float | None = None,
    apply: Apply = map,
) -> Challenge:
    """Forecast every series of a panel by one challenger.

    A series that the panel refuses, or that the challenger fails on, gets the forecast of `fallback` and the reason.

    Args:
        name: One of `CHALLENGERS`.
        panel: The series, all ending at the cutoff.
        quantile_levels: Shape (level,), ascending, with 0.5 among them.
        lower_bound: No forecast is below it.
        upper_bound: No forecast is above it.
        apply: Applies a function to each series: the built-in `map`, or one like it that uses several processes.

    Raises:
        ValueError: where `quantile_levels` lack 0.5.
        ImportError: where statsforecast cannot be imported.
    """
    levels = np.asarray(quantile_levels, np.float64)
    _place_of_median(levels)
    quantiles, _ = fallback(panel, panel.horizon, levels, lower_bound, upper_bound)
    reason = np.array([panel.refused.get(str(each), "") for each in panel.series_ids], dtype=object)
    accepted = np.flatnonzero(reason == "")
    forecast_one = partial(_attempt, name, panel.season_lengths[0], panel.horizon, levels)
    attempts = apply(forecast_one, [filled_forward(panel.series(int(i))) for i in accepted])
    for i, (challenger, why) in zip(accepted, attempts, strict=True):
        reason[i] = why
        if challenger is not None:
            quantiles[i] = np.clip(challenger, lower_bound, upper_bound)
    return Challenge(quantiles, reason.astype(str))


def challenger_quantiles(
    name: str, season_length: int, horizon: int, quantile_levels: FloatArray, values: FloatArray
) -> FloatArray:
    """One challenger's quantiles of one series.

    The quantile at 0.5 is statsforecast's point forecast; each other one is an end of a central prediction interval.
    Theta draws its intervals from 200 samples, and they may miss its point forecast; they are widened to hold it.

    Args:
        name: One of `CHALLENGERS`.
        season_length: In steps.
        horizon: Number of steps ahead.
        quantile_levels: Shape (level,), ascending, with 0.5 among them.
        values: Shape (length,), oldest first, without NaN.

    Returns:
        Shape (horizon, level), in the units of the series; finite, never crossing.

    Raises:
        ValueError: where a quantile is not finite, or `quantile_levels` lack 0.5.
        Exception: whatever statsforecast raises on a series that it cannot forecast.
    """
    return _quantiles(_model(name, season_length), horizon, quantile_levels, values)


def filled_forward(values: FloatingArray) -> FloatArray:
    """A series from its first observed value on, each gap filled with the value before it.

    >>> filled_forward(np.array([np.nan, 1.0, np.nan, 3.0, np.nan]))
    array([1., 1., 3., 3.])
    """
    observed = ~np.isnan(values)
    newest = np.maximum.accumulate(np.where(observed, np.arange(len(values)), -1))
    return values[newest[newest >= 0]].astype(np.float64)


def _attempt(name: str, season_length: int, horizon: int, quantile_levels: FloatArray, values: FloatArray) -> Attempt:
    """Quantiles of one series, or None and the reason why there are none."""
    # Not within the try: a failing import is not the fault of one series.
    model = _model(name, season_length)
    if not len(values):
        return None, "no observed value"
    try:
        return _quantiles(model, horizon, quantile_levels, values), ""
    except Exception as error:
        return None, f"{name} failed: {(str(error) or type(error).__name__).splitlines()[0]}"


def _model(name: str, season_length: int) -> Any:
    from statsforecast import models

    return getattr(models, CHALLENGERS[name])(season_length=season_length)


def _quantiles(model: Any, horizon: int, quantile_levels: FloatArray, values: FloatArray) -> FloatArray:
    at = _place_of_median(quantile_levels)
    # The width in percent of the central interval that ends at each quantile level; it is part of the result's name.
    widths = [round(100 * abs(1 - 2 * float(level)), 6) for level in quantile_levels]
    sides = np.where(quantile_levels < 0.5, "lo", "hi")
    ends = [f"{side}-{width}" if width else "mean" for side, width in zip(sides, widths, strict=True)]
    with warnings.catch_warnings():
        # statsforecast divides by zero on constant and on short series; the result is checked below.
        warnings.simplefilter("ignore")
        found = model.forecast(y=values, h=horizon, level=sorted({width for width in widths if width}) or None)
    quantiles = np.stack([np.asarray(found[end], np.float64) for end in ends], axis=-1)
    if not np.isfinite(quantiles).all():
        raise ValueError("no finite value")
    quantiles[:, at:] = np.maximum.accumulate(quantiles[:, at:], axis=1)
    quantiles[:, at::-1] = np.minimum.accumulate(quantiles[:, at::-1], axis=1)
    return quantiles


def _place_of_median(quantile_levels: FloatArray) -> int:
    middle = np.flatnonzero(quantile_levels == 0.5)
    if not len(middle):
        raise ValueError(f"quantile_levels {quantile_levels.tolist()} lack 0.5, the point forecast; add it.")
    return int(middle[0])
