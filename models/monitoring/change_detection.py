"""The control chart of a signal: whether tonight belongs to a lasting rise above the reference sample.

A loss alone rises when the series get harder to forecast. Its ratio to the loss of the seasonal naive on the same
points mostly does not, so the logarithm of that ratio is charted; bias and coverage are charted as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from models.arrays import BoolArray, FloatArray, IntArray
from models.counted import counted
from models.monitoring.reference import Reference, learn_reference
from models.monitoring.window_scan import LENGTHS, WIDE, window_means
from models.settings.monitoring import MonitorSettings

State = Literal["ok", "degraded", "not evaluated"]

# Added to both losses, as a share of the median baseline loss: a night of zeros alone has no ratio.
FLOOR = 0.001
# Number of live nights by which the reference sample grows at a time; it leaves out at least as many of the newest.
RENEWED = 28
# Smallest number of nights of the reference sample that are out of sample; these tell the level.
MIN_OUT_OF_SAMPLE = 14
# Number of newest nights whose median is the effect while nothing is wrong.
RECENT = 7
# An alert ends once a mean has fallen by this share of its limit: less evidence is needed to end an alert than to open
# one.
RECOVERY = 0.7
# A degradation begins before its alert: the number of nights before each alert that the reference sample leaves out.
BEFORE_ALERT = 14


@dataclass(frozen=True)
class Nights:
    """The nights of one signal of a segment, oldest first.

    Attributes:
        values: Shape (night,), higher is worse, the last one tonight's; NaN where a night was not scored.
        weekday: Shape (night,), 0 for Monday.
        degraded: Shape (night,), the state that was reported for each night at its time: 1 for degraded, -1 for
            degraded because the signal was too low, else 0. Tonight's is not read.
        hindcast: How many of the oldest nights are hindcast nights.
        in_sample: How many of those the model had learnt from.

    Raises:
        ValueError: where the lengths differ.
    """

    values: FloatArray
    weekday: IntArray
    degraded: BoolArray | IntArray
    hindcast: int = 0
    in_sample: int = 0

    def __post_init__(self) -> None:
        lengths = [len(self.values), len(self.weekday), len(self.degraded)]
        if len(set(lengths)) > 1:
            raise ValueError(
                f"values, weekday and degraded have {lengths} entries; give one entry of each for every night."
            )

    def reversed_sign(self) -> Nights:
        """The same nights for a signal of which lower is worse."""
        degraded = -self.degraded.astype(np.int64)
        return Nights(-self.values, self.weekday, degraded, self.hindcast, self.in_sample)


class Sensitivity(NamedTuple):
    """The rise of a signal that is tolerated, and the smallest one that is worth a message; in the signal's units."""

    tolerance: float
    min_effect: float


class Verdict(NamedTuple):
    """The outcome of the monitoring rule for the newest night.

    Attributes:
        state: "not evaluated" where the rule knows too little, never "ok" then.
        statistic: The highest ratio of a window mean to its control limit; above 1 is more than chance. NaN where not
            evaluated.
        effect: Median excess over the reference level of the nights since the onset; while nothing is wrong, of the
            recent nights. In the signal's units.
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
    """Logarithm of loss over baseline loss; NaN where a night lacks either. All of shape (night,)."""
    losses, baseline = np.asarray(losses, np.float64), np.asarray(baseline, np.float64)
    scored = np.isfinite(losses) & np.isfinite(baseline)
    typical = float(np.median(baseline[scored])) if scored.any() else 0.0
    # The naive is always right on constant series; the model's own losses then give the scale of the floor.
    floor = FLOOR * (typical or float(np.median(losses[scored])) if scored.any() else 0.0) or 1.0
    return np.log(np.where(scored, losses, np.nan) + floor) - np.log(np.where(scored, baseline, np.nan) + floor)


def reference_sample(nights: Nights) -> IntArray:
    """Indices of the nights to compare with: hindcast nights, and live ones long past without an alert."""
    live = len(nights.values) - 1 - nights.hindcast
    settled = nights.hindcast + max(live // RENEWED * RENEWED - RENEWED, 0)
    faulty = nights.degraded != 0
    for first in np.flatnonzero(np.diff(faulty.astype(np.int8), prepend=0) == 1):
        faulty[max(first - BEFORE_ALERT, nights.hindcast) : first] = True
    usable = ~faulty & ~np.isnan(nights.values)
    return np.flatnonzero(usable[:settled])


def judge(nights: Nights, settings: MonitorSettings, sensitivity: Sensitivity, rate: float) -> Verdict:
    """Whether the newest night belongs to a lasting rise above the reference sample.

    A night is degraded where a mean of the newest nights, over any of the windows of `window_scan`, exceeds its control
    limit. It stays so until `_is_over`.

    Args:
        nights: The nights of the signal.
        settings: Number of nights that the reference sample needs.
        sensitivity: What is tolerated, and what is worth a message.
        rate: Share of years in which chance alone may make a night degraded.
    """
    values, live = nights.values, nights.hindcast
    if len(values) <= live or np.isnan(values[-1]):
        return _not_evaluated("no figure tonight")
    chosen = reference_sample(nights)
    out_of_sample = int(np.count_nonzero(chosen >= nights.in_sample))
    if len(chosen) < settings.reference_nights:
        return _not_evaluated(f"{counted(len(chosen), 'night')} to compare with, {settings.reference_nights} needed")
    if out_of_sample < MIN_OUT_OF_SAMPLE:
        return _not_evaluated(
            f"{counted(out_of_sample, 'night')} to compare with that the model had not learnt from, "
            f"{MIN_OUT_OF_SAMPLE} needed"
        )
    reference = learn_reference(values[chosen], nights.weekday[chosen], out_of_sample, max(sensitivity), rate)
    excess = reference.excess(values[live:], nights.weekday[live:])
    scored = ~np.isnan(excess)
    # An alert of too low values is another alert: it neither keeps one of too high values open nor ends it.
    degraded = (nights.degraded > 0)[live:][scored][:-1]
    verdict = _verdict(excess[scored], degraded, reference, sensitivity)
    if verdict.onset is None:
        return verdict
    return verdict._replace(onset=live + int(np.flatnonzero(scored)[verdict.onset]))


def judge_both_sides(nights: Nights, settings: MonitorSettings, sensitivity: Sensitivity, rate: float) -> Verdict:
    """The verdict on a signal that is worse where it rises or falls; the effect of a fall is negative."""
    up = judge(nights, settings, sensitivity, rate / 2)
    down = judge(nights.reversed_sign(), settings, sensitivity, rate / 2)
    if (down.state == "degraded", down.statistic) > (up.state == "degraded", up.statistic):
        return down._replace(effect=-down.effect)
    return up


def _verdict(excess: FloatArray, degraded: BoolArray, reference: Reference, sensitivity: Sensitivity) -> Verdict:
    """The verdict on the last of the scored nights; `degraded` has the states of the nights before it."""
    calm = np.flatnonzero(~degraded)
    begun = int(calm[-1]) + 1 if len(calm) else 0
    before = np.flatnonzero(degraded[:begun])
    # Nights of an earlier alert do not count again.
    since = int(before[-1]) + 1 if len(before) else 0
    means = window_means(excess[since:], reference.clip_at)
    highest = int(np.argmax(means / reference.limits))
    statistic = max(float(means[highest] / reference.limits[highest]), 0.0)
    onset = since + _onset(excess[since:], max(float(means[highest]), sensitivity.min_effect) / 2)
    effect = float(np.median(excess[onset:]))
    is_open = begun < len(degraded)
    if _is_over(excess[begun:], effect, reference, sensitivity) if is_open else statistic <= 1:
        return Verdict("ok", statistic, float(np.median(excess[-RECENT:])), None, reference.detectable_effect)
    return Verdict("degraded", statistic, effect, onset, reference.detectable_effect)


def _is_over(since: FloatArray, effect: float, reference: Reference, sensitivity: Sensitivity) -> bool:
    """Whether the nights since an alert began have returned to the reference level, and not by chance.

    A mean of the newest nights, over any window length, must lie within the tolerance and clearly below the effect.
    """
    # These means keep the highest night: without it, one good night among bad ones would end an alert too soon.
    sums, enough = np.cumsum(reference.clipped(since)[::-1]), ~WIDE & (len(since) >= LENGTHS)
    means = sums[LENGTHS[enough] - 1] / LENGTHS[enough]
    fallen = reference.clipped(np.array(effect)) - RECOVERY * reference.limits[enough]
    return bool((means < np.minimum(fallen, sensitivity.tolerance)).any())


def _onset(excess: FloatArray, halfway: float) -> int:
    """The most likely start of a step: the night since which the sum of what lies above `halfway` is largest."""
    above = np.clip(excess, -4 * halfway, 4 * halfway) - halfway
    return int(np.argmax(np.cumsum(above[::-1])[::-1]))


def _not_evaluated(reason: str) -> Verdict:
    return Verdict("not evaluated", float("nan"), float("nan"), None, reason=reason)
