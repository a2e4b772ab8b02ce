"""What is usual of a signal: its level on each day of the week, its spread, and how far its sums stray by chance."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.cusum import ALLOWANCES, limits_for, resample

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

# From median absolute deviation to standard deviation, for the normal distribution.
MAD_TO_DEVIATION = 1.4826
# One night of luck, good or bad, must not decide alone.
LEAST, MOST = -3.0, 4.0
DAYS = 7
NIGHTS_OF_EACH_DAY = 8
YEAR, YEARS = 365, 300
# Nights within which a small segment says what it could see.
SOON = 14


class Usual(NamedTuple):
    """What is usual of a signal.

    Attributes:
        level: Shape (7,), Monday first, the median on each day of the week.
        deviation: Robust standard deviation around it.
        limits: Shape (allowance,), of the sums.
        tolerance: What a night may lie above the level before it counts as worse at all.
    """

    level: FloatArray
    deviation: float
    limits: FloatArray
    tolerance: float

    def excess(self, values: FloatArray, weekday: IntArray) -> FloatArray:
        """How far nights lie above their usual level, shape (night,)."""
        return np.asarray(values - self.level[weekday])

    def standard(self, excess: FloatArray) -> FloatArray:
        """The same in standard units, beyond the tolerance, clipped."""
        return np.asarray(np.clip((excess - self.tolerance) / self.deviation, LEAST, MOST))

    @property
    def detectable(self) -> float:
        """The smallest lasting rise whose sums reach a limit within `SOON` nights; NaN where none could."""
        z = ALLOWANCES + self.limits / SOON
        return self.tolerance + self.deviation * float(z.min()) if z.min() < MOST else float("nan")


def usual_nights(values: FloatArray, weekday: IntArray, fresh: int, tolerance: float, rate: float) -> Usual:
    """Learn what is usual from nights that nothing was wrong in.

    Args:
        values: Shape (night,), higher is worse, oldest first, none NaN.
        weekday: Shape (night,), 0 for Monday.
        fresh: How many of the newest nights tell the level: those that the model had not learnt from. The nights
            before them tell the spread only.
        tolerance: See `Usual`.
        rate: Share of years in which the sums may exceed their limits by chance.
    """
    return _usual_nights(values.tobytes(), weekday.tobytes(), fresh, tolerance, rate)


# A replay, and two signals of a night run twice, ask for the same nights again.
@lru_cache(maxsize=256)
def _usual_nights(values: bytes, weekdays: bytes, fresh: int, tolerance: float, rate: float) -> Usual:
    nights, weekday = np.frombuffer(values), np.frombuffer(weekdays, np.int64)
    old = len(nights) - fresh
    level = float(np.median(nights[old:]))
    # A model is better on what it has learnt from: the old nights are moved to where the fresh ones lie.
    rest = np.concatenate([nights[:old] - (np.median(nights[:old]) if old else 0.0), nights[old:] - level])
    cycle = _of_each_day(rest, weekday)
    rest = rest - cycle[weekday]
    spread = _deviation(rest, level)
    # Each made-up year is judged by a level and a spread of its own, of as many nights: limits then know how
    # uncertain those are.
    drawn = rest[resample(len(rest), YEARS, len(rest) + YEAR, seed=0)]
    before, year = drawn[:, : len(rest)], drawn[:, len(rest) :]
    middle = np.median(before[:, old:], axis=1, keepdims=True)
    deviation = MAD_TO_DEVIATION * np.median(np.abs(before - middle), axis=1, keepdims=True)
    z = np.clip((year - middle - tolerance) / np.maximum(deviation, _least_deviation(level)), LEAST, MOST)
    return Usual(level + cycle, spread, limits_for(z, rate), tolerance)


def _of_each_day(rest: FloatArray, weekday: IntArray) -> FloatArray:
    """Median of each day of the week; none where the days are too few to tell."""
    counts = np.bincount(weekday, minlength=DAYS)
    days = np.flatnonzero(counts)
    cycle = np.zeros(DAYS)
    if len(days) > 1 and counts[days].min() >= NIGHTS_OF_EACH_DAY:
        for day in days:
            cycle[day] = np.median(rest[weekday == day])
    return cycle


def _deviation(rest: FloatArray, level: float) -> float:
    return max(MAD_TO_DEVIATION * float(np.median(np.abs(rest - np.median(rest)))), _least_deviation(level))


def _least_deviation(level: float) -> float:
    # Nights that are all alike have no spread, and rounding is no rise.
    return 1e-3 * max(1.0, abs(level))
