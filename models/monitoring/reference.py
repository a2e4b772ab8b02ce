"""Phase I of the control chart: a signal's level, spread and control limits, learnt from a reference sample.

The reference sample is nights on which nothing was wrong. The control limits come from fault-free years that are
simulated from it (`null_simulation.py`).
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from models.arrays import FloatArray, IntArray
from models.monitoring.medians import medians
from models.monitoring.null_simulation import simulate_nights
from models.monitoring.window_scan import LENGTHS, WIDE, all_window_means, control_limits, highest_in_parts

# From median absolute deviation to standard deviation, for the normal distribution.
MAD_TO_DEVIATION = 1.4826
# Deviations at which a night is clipped, in narrow and in wide windows; but never below CLIP_EFFECTS smallest effects.
CLIP, CLIP_WIDE, CLIP_EFFECTS = 4.0, 8.0, 2.0
DAYS = 7
# Number of nights that each day of the week needs for a level of its own.
NIGHTS_OF_EACH_DAY = 8
YEAR, YEARS, QUARTERS = 365, 200, 4
# Largest number of reference nights of a simulated year; more hardly make level and spread more certain.
REFERENCE_NIGHTS = 180
# A year may vary more or less than the reference sample did: standard deviation of the logarithm of its spread.
SPREAD_DEVIATION = 0.25
# Number of nights within which `Reference.detectable_effect` is found.
SOON = 14


class Reference(NamedTuple):
    """What a signal does while nothing is wrong.

    Attributes:
        level: Shape (7,), of each day of the week, Monday first.
        deviation: Robust standard deviation around the level.
        clip_at: Shape (2,), the size at which one night is clipped in windows that are not `WIDE`, and in those that
            are.
        limits: Shape (window,), control limits of the window means, in the signal's units.
        shortfall: Shape (window,), how far the window means lie below the level while nothing is wrong: they leave out
            the highest night.
    """

    level: FloatArray
    deviation: float
    clip_at: FloatArray
    limits: FloatArray
    shortfall: FloatArray

    def excess(self, values: FloatArray, weekday: IntArray) -> FloatArray:
        """How far nights lie above the level of their day of the week, shape (night,)."""
        return np.asarray(values - self.level[weekday])

    def clipped(self, excess: FloatArray) -> FloatArray:
        """Excess, clipped as in windows that are not wide."""
        return np.asarray(np.clip(excess, -self.clip_at[0], self.clip_at[0]))

    @property
    def detectable_effect(self) -> float:
        """The smallest lasting rise that more often than not exceeds a limit within `SOON` nights; NaN where none."""
        rises = np.where(self.limits < self.clip_at[WIDE.astype(int)], self.limits + self.shortfall, np.inf)
        smallest = float(rises[LENGTHS <= SOON].min())
        return smallest if np.isfinite(smallest) else float("nan")


def learn_reference(
    values: FloatArray, weekday: IntArray, out_of_sample: int, min_effect: float, rate: float
) -> Reference:
    """Learn what a signal does while nothing is wrong.

    Args:
        values: Shape (night,), the reference sample: higher is worse, oldest first, none NaN.
        weekday: Shape (night,), 0 for Monday.
        out_of_sample: How many of the newest nights the model had not learnt from. They tell the level; the nights
            before them tell only the spread.
        min_effect: No limit is below it.
        rate: Share of years in which a limit may be exceeded by chance.
    """
    return _reference(values.tobytes(), weekday.tobytes(), out_of_sample, min_effect, rate)


def usual_level(values: FloatArray, weekday: IntArray, out_of_sample: int) -> FloatArray:
    """The level of `learn_reference` alone, which needs no simulation, shape (7,); arguments as there."""
    return _levels(values, weekday, out_of_sample)[0]


# A replay, and two signals of a night that is run twice, ask for the same nights again.
@lru_cache(maxsize=256)
def _reference(values: bytes, weekdays: bytes, out_of_sample: int, min_effect: float, rate: float) -> Reference:
    level, deviation, clip_at, highest, shortfall = _in_control(values, weekdays, out_of_sample, min_effect)
    limits = np.maximum(control_limits(highest, rate / QUARTERS), min_effect)
    return Reference(level, deviation, clip_at, limits, shortfall)


# One sample serves several rates.
@lru_cache(maxsize=16)
def _in_control(
    values: bytes, weekdays: bytes, out_of_sample: int, min_effect: float
) -> tuple[FloatArray, float, FloatArray, FloatArray, FloatArray]:
    """Level, deviation and clipping of a reference sample; highest window means of simulated years; their shortfall."""
    nights, weekday = np.frombuffer(values), np.frombuffer(weekdays, np.int64)
    levels, level, rest = _levels(nights, weekday, out_of_sample)
    deviation = float(_deviation(rest, 1e-3 * max(1.0, abs(level)))[0])
    clip_at = np.maximum(np.array([CLIP, CLIP_WIDE]) * deviation, CLIP_EFFECTS * min_effect)
    highest, shortfall = _simulated(rest, weekday, out_of_sample, deviation, clip_at)
    return levels, deviation, clip_at, np.maximum(highest, min_effect), shortfall


def _levels(nights: FloatArray, weekday: IntArray, out_of_sample: int) -> tuple[FloatArray, float, FloatArray]:
    """The level of each day of the week, shape (7,); that of all; how far each night lies from it."""
    old = len(nights) - out_of_sample
    cycle = _weekly_cycle(np.concatenate([_centred(nights[:old]), _centred(nights[old:])]), weekday)
    nights = nights - cycle[weekday]
    # A model is better on what it has learnt from, so the in-sample nights are moved to the level of the others.
    rest = np.concatenate([_centred(nights[:old]), _centred(nights[old:])])
    level = float(nights[-1] - rest[-1])
    return level + cycle, level, rest


def _simulated(
    rest: FloatArray, weekday: IntArray, out_of_sample: int, deviation: float, clip_at: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Highest window means of each quarter of simulated years, shape (quarter, window), and their median shortfall.

    Each simulated year is judged by a level and a spread that are estimated from as many nights of its own, so that the
    limits allow for the uncertainty of those estimates. Quarters are counted, since a year may have an alert in each of
    them, and years with one alert tend to have more.
    """
    known = min(len(rest), REFERENCE_NIGHTS)
    drawn = simulate_nights(rest, weekday, YEARS, known + YEAR, seed=0)
    width = np.exp(SPREAD_DEVIATION * np.random.default_rng(0).standard_normal((YEARS, 1), np.float32))
    before, year = drawn[:, :known], drawn[:, known:] * width
    spread = _deviation(before, deviation / 10)
    level = _level(before[:, -min(out_of_sample, known) :], spread)
    judged = (year - level) * (deviation / spread)
    highest, middle = [], []
    for length, means in zip(LENGTHS.tolist(), all_window_means(judged, clip_at), strict=True):
        highest.append(highest_in_parts(means, length, QUARTERS))
        middle.append(medians(means.ravel("K")))
    return np.stack(highest, axis=2).reshape(-1, len(LENGTHS)), np.maximum(-np.concatenate(middle), 0.0)


def _level(nights: FloatArray, deviation: FloatArray) -> FloatArray:
    """Huber's location estimate (1964) of nights, clipped as they are judged; shape (..., 1)."""
    level = medians(nights)
    for _ in range(2):
        level = level + deviation * np.clip((nights - level) / deviation, -CLIP, CLIP).mean(axis=-1, keepdims=True)
    return np.asarray(level)


def _deviation(nights: FloatArray, least: float) -> FloatArray:
    """Robust standard deviation, shape (..., 1); never below `least`, which rounding errors stay under."""
    return np.maximum(MAD_TO_DEVIATION * medians(np.abs(nights - medians(nights))), least)


def _centred(nights: FloatArray) -> FloatArray:
    return nights - _level(nights, _deviation(nights, 1e-9)) if len(nights) else nights


def _weekly_cycle(rest: FloatArray, weekday: IntArray) -> FloatArray:
    """Median of each day of the week, shape (7,); 0 for all where a day has too few nights."""
    counts = np.bincount(weekday, minlength=DAYS)
    days = np.flatnonzero(counts)
    cycle = np.zeros(DAYS)
    if len(days) > 1 and counts[days].min() >= NIGHTS_OF_EACH_DAY:
        for day in days:
            cycle[day] = np.median(rest[weekday == day])
    return cycle
