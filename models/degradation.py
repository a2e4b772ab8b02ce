"""The rule that says "worse": tonight's figures against the job's own nights.

A loss alone rises when the series get harder to forecast. Divided by the loss of the seasonal naive on the same
points it mostly does not, so the logarithm of that ratio is watched; bias and coverage are watched as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from models.cusum import CAP, follow
from models.settings import MonitorSettings
from models.usual_nights import Usual, usual_nights

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
State = Literal["ok", "degraded", "not evaluated"]

# Added to both losses, as a share of the usual baseline loss: a night of nothing but zeros has no ratio.
FLOOR = 0.001
# What is usual is learnt anew every so many nights, and never from nights that are newer than that.
RENEWED = 28
# Nights that tell the level, at the least.
FRESH = 14
# Of this many nights the middle one must be worse by the smallest effect worth a message.
RECENT = 7
# It ends when the middle one of so many is as usual: a shorter calm would let one episode be told as several.
CALM = 14
QUIET = 3
# How far back sums are followed; what they held before has long been told, or has gone.
FOLLOWED = 120
# Nights before an alert began are part of what it tells of.
BEFORE_ALERT = 14


@dataclass(frozen=True)
class Nights:
    """What is known of one segment, oldest night first.

    Attributes:
        values: Shape (night,), higher is worse, the last one tonight's; NaN where a night was not scored.
        weekday: Shape (night,), 0 for Monday.
        degraded: Shape (night,), what was said of each night at its time; tonight's is not read.
        backtest: How many of the oldest nights are of a backtest.
        learnt: How many of those the model had learnt from.

    Raises:
        ValueError: where the lengths do not agree.
    """

    values: FloatArray
    weekday: IntArray
    degraded: BoolArray
    backtest: int = 0
    learnt: int = 0

    def __post_init__(self) -> None:
        found = [len(self.values), len(self.weekday), len(self.degraded)]
        if len(set(found)) > 1:
            raise ValueError(f"values, weekdays and states tell of {found} nights; give one of each per night.")

    def reversed_sign(self) -> Nights:
        """The same nights where lower is worse."""
        return Nights(-self.values, self.weekday, self.degraded, self.backtest, self.learnt)


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
        detectable: The smallest lasting rise that two weeks would show; NaN where none would.
        reason: Why it was not evaluated, "" otherwise.
    """

    state: State
    statistic: float
    effect: float
    onset: int | None
    detectable: float = float("nan")
    reason: str = ""


def log_ratio(losses: FloatArray, baseline: FloatArray) -> FloatArray:
    """Log of loss over baseline loss; NaN where a night lacks either. Shapes (night,)."""
    losses, baseline = np.asarray(losses, np.float64), np.asarray(baseline, np.float64)
    scored = np.isfinite(losses) & np.isfinite(baseline)
    usual = float(np.median(baseline[scored])) if scored.any() else 0.0
    # Where the naive is always right (constant series), the model's own losses say what is small.
    floor = FLOOR * (usual or float(np.median(losses[scored])) if scored.any() else 0.0) or 1.0
    return np.log(np.where(scored, losses, np.nan) + floor) - np.log(np.where(scored, baseline, np.nan) + floor)


def judge(nights: Nights, settings: MonitorSettings, watch: Watch) -> Verdict:
    """Say whether the newest night is part of a lasting rise above what is usual.

    Degraded is a night whose sums (see `cusum`) exceed their limit for the second time, or are twice as high, while
    the middle one of the newest `RECENT` nights is worse by `watch.min_effect`. It ends when the middle
    one of the newest `CALM` nights is within the tolerance and the newest `QUIET` are better than `watch.min_effect`.
    """
    values, live = nights.values, nights.backtest
    if len(values) <= live or np.isnan(values[-1]):
        return _not_evaluated("no figure tonight")
    chosen = _reference(nights)
    fresh = int(np.count_nonzero(chosen >= nights.learnt))
    if len(chosen) < settings.reference_nights:
        return _not_evaluated(f"{len(chosen)} nights to compare with, {settings.reference_nights} needed")
    if fresh < FRESH:
        return _not_evaluated(f"{fresh} nights to compare with that the model had not learnt from, {FRESH} needed")
    usual = usual_nights(values[chosen], nights.weekday[chosen], fresh, watch.tolerance, settings.false_alarms_per_year)
    excess = usual.excess(values[live:], nights.weekday[live:])
    state, statistic = _state(excess, nights.degraded[live:], usual, watch.min_effect)
    known, detectable = excess[~np.isnan(excess)], float(np.maximum(usual.detectable, watch.min_effect))
    if state == "ok":
        return Verdict("ok", statistic, float(np.median(known[-RECENT:])), None, detectable)
    onset = _onset(excess, max(float(np.median(known[-RECENT:])), watch.min_effect) / 2)
    effect = float(np.nanmedian(excess[onset:]))
    return Verdict("degraded", statistic, effect, live + onset, detectable)


def judge_both(nights: Nights, settings: MonitorSettings, watch: Watch) -> Verdict:
    """The verdict on a signal that may leave what is usual either way; the effect is negative for a fall."""
    halved = settings.model_copy(update={"false_alarms_per_year": settings.false_alarms_per_year / 2})
    up, down = judge(nights, halved, watch), judge(nights.reversed_sign(), halved, watch)
    if (down.state == "degraded", down.statistic) > (up.state == "degraded", up.statistic):
        return down._replace(effect=-down.effect)
    return up


def _reference(nights: Nights) -> IntArray:
    """Which nights tell what is usual: of the backtest, and live ones that have long passed without an alert."""
    live = len(nights.values) - 1 - nights.backtest
    settled = nights.backtest + max(live // RENEWED * RENEWED - RENEWED, 0)
    wrong = nights.degraded.copy()
    for first in np.flatnonzero(np.diff(nights.degraded.astype(np.int8), prepend=0) == 1):
        wrong[max(first - BEFORE_ALERT, nights.backtest) : first] = True
    usable = ~wrong & ~np.isnan(nights.values)
    return np.flatnonzero(usable[:settled])


def _state(excess: FloatArray, degraded: BoolArray, usual: Usual, min_effect: float) -> tuple[State, float]:
    """What tonight is, and the highest sum over its limit."""
    scored = ~np.isnan(excess)
    known = excess[scored]
    before = degraded[scored][:-1]
    middle = float(np.median(known[-RECENT:]))
    if len(before) and before[-1]:
        over = float(np.median(known[-CALM:])) < usual.tolerance and bool((known[-QUIET:] < min_effect).all())
        statistic = float(follow(usual.standard(known[-FOLLOWED:]), usual.limits)[-1])
        return ("ok" if over else "degraded"), statistic
    # What an alert has told of is not told again.
    since = int(np.flatnonzero(before)[-1]) + 1 if before.any() else 0
    sums = follow(usual.standard(known[since:][-FOLLOWED:]), usual.limits)
    sure = sums[-1] >= CAP or (sums[-2:] > 1).sum() == 2
    return ("degraded" if sure and middle >= min_effect else "ok"), float(sums[-1])


def _onset(excess: FloatArray, halfway: float) -> int:
    """The night since which nights lie furthest above `halfway` in sum: the likeliest start of a step."""
    above = np.nan_to_num(np.clip(excess, -4 * halfway, 4 * halfway) - halfway, nan=0.0)
    since = np.cumsum(above[::-1])[::-1]
    return int(np.argmax(since))


def _not_evaluated(reason: str) -> Verdict:
    return Verdict("not evaluated", float("nan"), float("nan"), None, reason=reason)
