"""The rule that says "worse": tonight's figures against the job's own nights.

A loss alone rises when the series get harder to forecast. Divided by the loss of the seasonal naive on the same
points it mostly does not, so the logarithm of that ratio is watched; bias and coverage are watched as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from models.arrays import BoolArray, FloatArray, IntArray
from models.monitoring.reference import Usual, usual_nights
from models.monitoring.window_scan import LENGTHS, WIDE, newest_means
from models.settings.monitoring import MonitorSettings

State = Literal["ok", "degraded", "not evaluated"]

# Added to both losses, as a share of the usual baseline loss: a night of nothing but zeros has no ratio.
FLOOR = 0.001
# What is usual is learnt anew every so many nights, and never from nights that are newer than that.
RENEWED = 28
# Nights that tell the level, at the least.
FRESH = 14
# The effect told where nothing is wrong is the middle one of so many nights.
RECENT = 7
# An alert ends where a mean has fallen by this share of the limit: to say that something is over takes less than to say
# that it is wrong.
SURE = 0.7
# Nights before an alert began are part of what it tells of.
BEFORE_ALERT = 14


@dataclass(frozen=True)
class Nights:
    """What is known of one segment, oldest night first.

    Attributes:
        values: Shape (night,), higher is worse, the last one tonight's; NaN where a night was not scored.
        weekday: Shape (night,), 0 for Monday.
        degraded: Shape (night,), what was said of each night at its time: 0 where nothing, 1 where it was degraded, -1
            where it was for being too low; tonight's is not read.
        backtest: How many of the oldest nights are of a backtest.
        learnt: How many of those the model had learnt from.

    Raises:
        ValueError: where the lengths do not agree.
    """

    values: FloatArray
    weekday: IntArray
    degraded: BoolArray | IntArray
    backtest: int = 0
    learnt: int = 0

    def __post_init__(self) -> None:
        found = [len(self.values), len(self.weekday), len(self.degraded)]
        if len(set(found)) > 1:
            raise ValueError(f"values, weekdays and states tell of {found} nights; give one of each per night.")

    def reversed_sign(self) -> Nights:
        """The same nights where lower is worse."""
        said = -self.degraded.astype(np.int64)
        return Nights(-self.values, self.weekday, said, self.backtest, self.learnt)


class Watch(NamedTuple):
    """What of a signal counts as worse, in its own units: what is tolerated, and what is worth a message."""

    tolerance: float
    min_effect: float


class Verdict(NamedTuple):
    """What the rule says about the newest night.

    Attributes:
        state: "not evaluated" where the rule has too little to go by, never "ok" then.
        statistic: The highest sum over its limit; above 1 is more than chance. NaN where not evaluated.
        effect: Median of what the nights since the onset lie above the usual; of the recent ones where nothing is
            wrong. In the signal's units.
        onset: Index of the night on which the degradation most likely began; None unless degraded.
        detectable_effect: The smallest lasting rise that two weeks would show; NaN where none would.
        reason: Why it was not evaluated, "" otherwise.
    """

    state: State
    statistic: float
    effect: float
    onset: int | None
    detectable_effect: float = float("nan")
    reason: str = ""


def log_ratio(losses: FloatArray, baseline: FloatArray) -> FloatArray:
    """Log of loss over baseline loss; NaN where a night lacks either. Shapes (night,)."""
    losses, baseline = np.asarray(losses, np.float64), np.asarray(baseline, np.float64)
    scored = np.isfinite(losses) & np.isfinite(baseline)
    usual = float(np.median(baseline[scored])) if scored.any() else 0.0
    # Where the naive is always right (constant series), the model's own losses say what is small.
    floor = FLOOR * (usual or float(np.median(losses[scored])) if scored.any() else 0.0) or 1.0
    return np.log(np.where(scored, losses, np.nan) + floor) - np.log(np.where(scored, baseline, np.nan) + floor)


def reference(nights: Nights) -> IntArray:
    """Which nights tell what is usual: of the backtest, and live ones that have long passed without an alert."""
    live = len(nights.values) - 1 - nights.backtest
    settled = nights.backtest + max(live // RENEWED * RENEWED - RENEWED, 0)
    wrong = nights.degraded != 0
    for first in np.flatnonzero(np.diff(wrong.astype(np.int8), prepend=0) == 1):
        wrong[max(first - BEFORE_ALERT, nights.backtest) : first] = True
    usable = ~wrong & ~np.isnan(nights.values)
    return np.flatnonzero(usable[:settled])


def judge(nights: Nights, settings: MonitorSettings, watch: Watch, rate: float) -> Verdict:
    """Say whether the newest night is part of a lasting rise above what is usual.

    Degraded is a night with a mean of the newest nights, any of those in `window_scan`, above its limit. It
    ends as `_is_over` says.

    Args:
        nights: What is known.
        settings: How many nights it takes to know what is usual.
        watch: What counts.
        rate: Share of years in which chance alone may make a night degraded.
    """
    values, live = nights.values, nights.backtest
    if len(values) <= live or np.isnan(values[-1]):
        return _not_evaluated("no figure tonight")
    chosen = reference(nights)
    fresh = int(np.count_nonzero(chosen >= nights.learnt))
    if len(chosen) < settings.reference_nights:
        return _not_evaluated(f"{len(chosen)} nights to compare with, {settings.reference_nights} needed")
    if fresh < FRESH:
        return _not_evaluated(f"{fresh} nights to compare with that the model had not learnt from, {FRESH} needed")
    usual = usual_nights(values[chosen], nights.weekday[chosen], fresh, max(watch), rate)
    excess = usual.excess(values[live:], nights.weekday[live:])
    scored = ~np.isnan(excess)
    # What was too low is another alert than what is too high: it neither keeps this one open nor is told by it.
    told = _told(excess[scored], (nights.degraded > 0)[live:][scored][:-1], usual, watch)
    if told.onset is None:
        return told
    return told._replace(onset=live + int(np.flatnonzero(scored)[told.onset]))


def judge_both(nights: Nights, settings: MonitorSettings, watch: Watch, rate: float) -> Verdict:
    """The verdict on a signal that may leave what is usual either way; the effect is negative for a fall."""
    up, down = judge(nights, settings, watch, rate / 2), judge(nights.reversed_sign(), settings, watch, rate / 2)
    if (down.state == "degraded", down.statistic) > (up.state == "degraded", up.statistic):
        return down._replace(effect=-down.effect)
    return up


def _told(excess: FloatArray, degraded: BoolArray, usual: Usual, watch: Watch) -> Verdict:
    """The verdict on the last of the scored nights, from what was said of those before it."""
    calm = np.flatnonzero(~degraded)
    begun = int(calm[-1]) + 1 if len(calm) else 0
    before = np.flatnonzero(degraded[:begun])
    # What an alert has told of is not told again.
    since = int(before[-1]) + 1 if len(before) else 0
    means = newest_means(excess[since:], usual.most)
    highest = int(np.argmax(means / usual.limits))
    statistic = max(float(means[highest] / usual.limits[highest]), 0.0)
    onset = since + _onset(excess[since:], max(float(means[highest]), watch.min_effect) / 2)
    effect = float(np.median(excess[onset:]))
    is_open = begun < len(degraded)
    if _is_over(excess[begun:], effect, usual, watch) if is_open else statistic <= 1:
        return Verdict("ok", statistic, float(np.median(excess[-RECENT:])), None, usual.detectable)
    return Verdict("degraded", statistic, effect, onset, usual.detectable)


def _is_over(since: FloatArray, effect: float, usual: Usual, watch: Watch) -> bool:
    """Whether nights since an alert began are as usual, and that is no luck.

    A mean of the newest ones, over any of the lengths, must lie within the tolerance and so far below the effect that
    was told.
    """
    # None is left out here: without the highest, a single good night among bad ones would end an alert too soon.
    sums, enough = np.cumsum(usual.clipped(since)[::-1]), ~WIDE & (len(since) >= LENGTHS)
    means = sums[LENGTHS[enough] - 1] / LENGTHS[enough]
    fallen = usual.clipped(np.array(effect)) - SURE * usual.limits[enough]
    return bool((means < np.minimum(fallen, watch.tolerance)).any())


def _onset(excess: FloatArray, halfway: float) -> int:
    """The night since which nights lie furthest above `halfway` in sum: the likeliest start of a step."""
    above = np.clip(excess, -4 * halfway, 4 * halfway) - halfway
    return int(np.argmax(np.cumsum(above[::-1])[::-1]))


def _not_evaluated(reason: str) -> Verdict:
    return Verdict("not evaluated", float("nan"), float("nan"), None, reason=reason)
