"""What is usual of a signal: its level on each day of the week, its spread, and how far its means stray by chance."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from models.arrays import FloatArray, IntArray
from models.monitoring.null_simulation import made_up
from models.monitoring.window_scan import LENGTHS, WIDE, every_mean, highest_means, limits_for

# From median absolute deviation to standard deviation, for the normal distribution.
MAD_TO_DEVIATION = 1.4826
# A night counts for so many deviations, or smallest effects worth a message, at most; in wide means for more.
MOST, MOST_WIDE, MOST_EFFECTS = 4.0, 8.0, 2.0
DAYS = 7
NIGHTS_OF_EACH_DAY = 8
YEAR, YEARS, QUARTERS = 365, 200, 4
# More nights hardly make surer what is usual.
BEFORE = 180
# A year may be wilder or calmer than the months that told what is usual: deviation of the logarithm of its width.
WIDTH = 0.25
# Nights within which a small segment says what it could see.
SOON = 14


class Usual(NamedTuple):
    """What is usual of a signal.

    Attributes:
        level: Shape (7,), Monday first, of each day of the week.
        deviation: Robust standard deviation around it.
        most: Shape (2,), what one night counts for at most, either way, in means that are not wide and in wide ones.
        limits: Shape (mean,), in the signal's units, what means over the newest nights exceed too rarely for chance.
        below: Shape (mean,), how far those lie below the level where nothing is wrong, for they leave out the highest.
    """

    level: FloatArray
    deviation: float
    most: FloatArray
    limits: FloatArray
    below: FloatArray

    def excess(self, values: FloatArray, weekday: IntArray) -> FloatArray:
        """How far nights lie above their usual level, shape (night,)."""
        return np.asarray(values - self.level[weekday])

    def clipped(self, excess: FloatArray) -> FloatArray:
        """The same as far as one night counts, in means that are not wide."""
        return np.asarray(np.clip(excess, -self.most[0], self.most[0]))

    @property
    def detectable(self) -> float:
        """The smallest lasting rise that more often than not exceeds a limit within `SOON` nights; NaN where none."""
        rises = np.where(self.limits < self.most[WIDE.astype(int)], self.limits + self.below, np.inf)
        smallest = float(rises[LENGTHS <= SOON].min())
        return smallest if np.isfinite(smallest) else float("nan")


def usual_nights(values: FloatArray, weekday: IntArray, fresh: int, min_effect: float, rate: float) -> Usual:
    """Learn what is usual from nights that nothing was wrong in.

    Args:
        values: Shape (night,), higher is worse, oldest first, none NaN.
        weekday: Shape (night,), 0 for Monday.
        fresh: How many of the newest nights tell the level: those that the model had not learnt from. The nights
            before them tell the spread only.
        min_effect: No limit is below it.
        rate: How often a year chance may exceed the limits.
    """
    return _usual_nights(values.tobytes(), weekday.tobytes(), fresh, min_effect, rate)


# A replay, and two signals of a night run twice, ask for the same nights again.
@lru_cache(maxsize=256)
def _usual_nights(values: bytes, weekdays: bytes, fresh: int, min_effect: float, rate: float) -> Usual:
    level, deviation, most, highest, below = _learnt(values, weekdays, fresh, min_effect)
    limits = np.maximum(limits_for(highest, rate / QUARTERS), min_effect)
    return Usual(level, deviation, most, limits, below)


# Other rates have other limits, of the same nights.
@lru_cache(maxsize=64)
def _learnt(
    values: bytes, weekdays: bytes, fresh: int, min_effect: float
) -> tuple[FloatArray, float, FloatArray, FloatArray, FloatArray]:
    """Level of each day of the week, deviation, what a night counts for, and of made-up years the highest means and how
    far they usually lie below the level.
    """
    nights, weekday = np.frombuffer(values), np.frombuffer(weekdays, np.int64)
    old = len(nights) - fresh
    cycle = _of_each_day(np.concatenate([_centred(nights[:old]), _centred(nights[old:])]), weekday)
    nights = nights - cycle[weekday]
    # A model is better on what it has learnt from: the old nights are moved to where the fresh ones lie.
    rest = np.concatenate([_centred(nights[:old]), _centred(nights[old:])])
    level = float(nights[-1] - rest[-1])
    deviation = float(_deviation(rest, 1e-3 * max(1.0, abs(level)))[0])
    most = np.maximum(np.array([MOST, MOST_WIDE]) * deviation, MOST_EFFECTS * min_effect)
    highest, below = _by_chance(rest, weekday, fresh, deviation, most)
    return level + cycle, deviation, most, np.maximum(highest, min_effect), below


def _by_chance(
    rest: FloatArray, weekday: IntArray, fresh: int, deviation: float, most: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """What means reach in a quarter of a made-up year, shape (quarter, mean), and how far below the level most are.

    Each year is judged by a level and a spread of its own, of as many nights: limits then know how uncertain those are.
    A year may have an alert in each quarter, and those that have one tend to have more.
    """
    known = min(len(rest), BEFORE)
    drawn = made_up(rest, weekday, YEARS, known + YEAR, seed=0)
    width = np.exp(WIDTH * np.random.default_rng(0).standard_normal((YEARS, 1), np.float32))
    before, year = drawn[:, :known], drawn[:, known:] * width
    spread = _deviation(before, deviation / 10)
    level = _level(before[:, -min(fresh, known) :], spread)
    judged = (year - level) * (deviation / spread)
    below = -np.array([np.median(means) for means in every_mean(judged, most)])
    return highest_means(judged, most, QUARTERS).reshape(-1, len(LENGTHS)), np.maximum(below, 0.0)


def _level(nights: FloatArray, deviation: FloatArray) -> FloatArray:
    """From what nights, clipped as they are judged, stray as far up as down (Huber 1964); shape (..., 1)."""
    level = np.median(nights, axis=-1, keepdims=True)
    for _ in range(2):
        level = level + deviation * np.clip((nights - level) / deviation, -MOST, MOST).mean(axis=-1, keepdims=True)
    return np.asarray(level)


def _deviation(nights: FloatArray, least: float) -> FloatArray:
    """Robust standard deviation, shape (..., 1): rounding is none."""
    middle = np.median(nights, axis=-1, keepdims=True)
    return np.maximum(MAD_TO_DEVIATION * np.median(np.abs(nights - middle), axis=-1, keepdims=True), least)


def _centred(nights: FloatArray) -> FloatArray:
    return nights - _level(nights, _deviation(nights, 1e-9)) if len(nights) else nights


def _of_each_day(rest: FloatArray, weekday: IntArray) -> FloatArray:
    """Median of each day of the week; none where the days are too few to tell."""
    counts = np.bincount(weekday, minlength=DAYS)
    days = np.flatnonzero(counts)
    cycle = np.zeros(DAYS)
    if len(days) > 1 and counts[days].min() >= NIGHTS_OF_EACH_DAY:
        for day in days:
            cycle[day] = np.median(rest[weekday == day])
    return cycle
