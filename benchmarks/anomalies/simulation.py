"""A year of actuals of many series, forecasts of the right and the wrong width for them, and planted anomalies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from models.arrays import BoolArray, FloatArray

LEVELS = np.array([0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95])
KINDS = ("normal", "heavy", "counts", "dependent")
HISTORY = 56
WIDTHS = {"narrow": 0.7, "right": 1.0, "wide": 1.4}
SPIKE, SHIFT, SHIFT_NIGHTS = 6.0, 3.0, 14
"""Sizes in half widths of the true 90 % interval, and how long a level stays shifted before forecasts follow it."""
_COMMON = 0.1
"""Share of the variance that series of the kind `dependent` have in common on a night."""


@dataclass(frozen=True)
class Year:
    """Actuals and forecasts of one step ahead.

    Attributes:
        actual: Shape (night, series), planted anomalies included.
        spread: Shape (series,), the root mean square of the changes of the 56 nights before.
        half: Shape (series,), half the true 90 % interval.
        quantiles: Shape (series, level), the same every night.
        planted: Name (`spike`, `drop`, `shift`) to a mask of shape (night, series).
    """

    actual: FloatArray
    spread: FloatArray
    half: FloatArray
    quantiles: FloatArray
    planted: dict[str, BoolArray]


def simulate(kind: str, width: float, nights: int, series: int, seed: int) -> Year:
    """A year of one kind of series, with forecasts `width` times as wide as the distribution that actuals come from."""
    rng = np.random.default_rng(seed)
    mean = np.exp(rng.normal(2.0, 1.0, series))
    scores = rng.standard_normal((nights + HISTORY, series))
    if kind == "dependent":
        scores = np.sqrt(_COMMON) * rng.standard_normal((nights + HISTORY, 1)) + np.sqrt(1 - _COMMON) * scores
    if kind == "counts":
        rate = mean / 4
        actual = stats.poisson.ppf(stats.norm.cdf(scores), rate)
        true = stats.poisson.ppf(LEVELS, rate[:, None])
    else:
        shape = stats.t(3) if kind == "heavy" else stats.norm()
        drawn = stats.t(3).ppf(stats.norm.cdf(scores)) if kind == "heavy" else scores
        actual = mean * (10 + drawn)
        true = mean[:, None] * (10 + shape.ppf(LEVELS))
    spread = np.sqrt((np.diff(actual[:HISTORY], axis=0) ** 2).mean(axis=0))
    actual, median = actual[HISTORY:], true[:, [3]]
    half = np.maximum((true[:, -1] - true[:, 0]) / 2, 1.0)
    planted = {name: np.zeros((nights, series), bool) for name in ("spike", "drop", "shift")}
    late = np.arange(nights)[:, None] >= nights // 4
    planted["spike"] = late & (rng.random((nights, series)) < 0.00005)
    planted["drop"] = late & (rng.random((nights, series)) < 0.00005) & (kind != "counts")
    begins = late & (rng.random((nights, series)) < 0.000004)
    for night, each in np.argwhere(begins).tolist():
        planted["shift"][night : night + SHIFT_NIGHTS, each] = True
    actual = actual + half * (SPIKE * planted["spike"] - SPIKE * planted["drop"] + SHIFT * planted["shift"])
    return Year(actual, spread, half, median + width * (true - median), planted)
