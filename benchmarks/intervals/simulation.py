"""Simulated jobs whose forecasts have wrong quantiles, in five ways.

    narrow     quantiles at 0.6 of their true distance from the median
    uneven     the width of a series is log-normal (0.4) and doubles at weekends, its tails are Student's t with 4
               degrees of freedom; forecasts are normal distributions of one width
    shift      as narrow, and on the 183rd night the level of every series rises by four standard deviations; forecasts
               follow within weeks
    drifting   right at first; the true width doubles over the year
    counts     zero on seven days of ten, otherwise Poisson; forecasts are those of a Poisson of the same mean

Forecasts follow a level that moves from day to day, so errors grow along the horizon and neighbouring nights err
together. A third of the variance of each day is common to all series.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri
from scipy.stats import poisson

from models.arrays import FloatArray

LEVELS = np.array([0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95])
BEFORE, YEAR, HORIZON, SHIFT = 28, 365, 14, 183
NIGHTS = BEFORE + YEAR
DAYS = NIGHTS + HORIZON
FOLLOWS, MOVES = 0.2, 0.25
"""How fast forecasts follow the level, and the standard deviation of its daily move."""
KINDS = ("narrow", "uneven", "shift", "drifting", "counts")


@dataclass(frozen=True)
class SimulatedJob:
    """Actuals, and forecasts before calibration.

    Attributes:
        actual: Shape (day, series); the day after night n is day n.
        raw: Shape (night, series, horizon, level).
        bounds: Bounds of the forecasts.
    """

    actual: FloatArray
    raw: FloatArray
    bounds: tuple[float | None, float | None] = (None, None)

    @property
    def realised(self) -> FloatArray:
        """The actual of each forecast, shape (night, series, horizon)."""
        return np.stack([self.actual[step : step + NIGHTS] for step in range(HORIZON)], axis=-1)


def simulate(kind: str, series: int, seed: int) -> SimulatedJob:
    """A job of a kind; the same seed gives the same job."""
    random = np.random.default_rng(seed)
    return _counts(series, random) if kind == "counts" else _continuous(kind, series, random)


def _continuous(kind: str, series: int, random: np.random.Generator) -> SimulatedJob:
    draw: Callable[[tuple[int, int]], FloatArray] = random.standard_normal
    width = np.ones((DAYS, series))
    if kind == "uneven":
        draw = lambda shape: random.standard_t(4, shape) / np.sqrt(2)  # noqa: E731
        width = np.exp(0.4 * random.standard_normal(series)) * np.where(np.arange(DAYS) % 7 >= 5, 2.0, 1.0)[:, None]
    if kind == "drifting":
        width = np.ones((DAYS, series)) * 2 ** (np.clip(np.arange(DAYS) - BEFORE, 0, None) / YEAR)[:, None]
    noise = width * (np.sqrt(2 / 3) * draw((DAYS, series)) + np.sqrt(1 / 3) * draw((DAYS, 1)))
    level = np.cumsum(MOVES * width * draw((DAYS, series)), axis=0)
    if kind == "shift":
        level[BEFORE + SHIFT :] += 4.0
    actual = 20 + level + noise
    middle, known = np.empty((NIGHTS, series)), 20 + level[0]
    for day in range(NIGHTS):
        middle[day] = known
        known = known + FOLLOWS * (actual[day] - known)
    # Squared error of an exponential mean that follows a moving level; it grows with every step.
    behind = (FOLLOWS + (1 - FOLLOWS) ** 2 * MOVES**2 / FOLLOWS) / (2 - FOLLOWS)
    deviation = np.sqrt(1 + behind + MOVES**2 * np.arange(1, HORIZON + 1))
    share = 0.6 if kind in ("narrow", "shift") else 1.0
    return SimulatedJob(actual, middle[:, :, None, None] + share * deviation[:, None] * ndtri(LEVELS))


def _counts(series: int, random: np.random.Generator) -> SimulatedJob:
    mean = np.exp(1 + 0.5 * random.standard_normal(series))
    busy = random.random((DAYS, series)) < 0.3
    actual = np.where(busy, random.poisson(mean, (DAYS, series)), 0).astype(np.float64)
    quantiles = poisson.ppf(LEVELS, 0.3 * mean[:, None])
    raw = np.broadcast_to(quantiles[None, :, None], (NIGHTS, series, HORIZON, len(LEVELS)))
    return SimulatedJob(actual, raw, (0.0, None))
