"""The rule that says "worse": tonight's losses against their own past.

A loss alone rises when the series get harder to forecast. Divided by the loss of the
seasonal naive on the same points it mostly does not, so the logarithm of that ratio is watched.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from models.settings import MonitorSettings

FloatArray = npt.NDArray[np.float64]
State = Literal["ok", "degraded", "not evaluated"]

# From median absolute deviation to standard deviation, for the normal distribution.
MAD_TO_DEVIATION = 1.4826
# Added to both losses, as a share of the usual baseline loss: a night of nothing but zeros has no ratio.
FLOOR = 0.01


class Verdict(NamedTuple):
    """What the rule says about the newest night.

    Attributes:
        state: "not evaluated" where the rule has too little to go by, never "ok" then.
        statistic: Median log ratio of loss to baseline loss over the recent nights; NaN where not evaluated.
        limit: What the statistic must not exceed.
        effect: By how much the ratio rose, relative to its past: 0.1 is ten percent worse.
        onset: Index of the night on which the degradation most likely began; None unless degraded.
        reason: Why it was not evaluated, "" otherwise.
    """

    state: State
    statistic: float
    limit: float
    effect: float
    onset: int | None
    reason: str = ""


def judge(
    losses: FloatArray, baseline: FloatArray, settings: MonitorSettings, states: Sequence[str] | None = None
) -> Verdict:
    """Say whether the newest night's forecasts are worse than they used to be.

    The median of the recent `window` nights is held against the nights before: degraded is what lies more
    than `threshold` robust standard deviations above their median and is at least `min_effect` worse.

    Args:
        losses: Shape (night,), oldest first, the last one tonight's; NaN where a night was not scored.
        baseline: Shape (night,), the baseline's loss on the same points.
        settings: Window, threshold and smallest effect.
        states: Shape (night,), what was said of each night at its time (tonight's is not read). Nights that
            were degraded do not enter the past, or a slow drift would become the measure of itself.

    Raises:
        ValueError: where the lengths do not agree.
    """
    if len(losses) != len(baseline) or (states is not None and len(states) != len(losses)):
        found = [len(losses), len(baseline)] + ([len(states)] if states is not None else [])
        raise ValueError(f"losses, baseline and states tell of {found} nights; give one of each per night.")
    ratio = _log_ratio(losses, baseline)
    if not len(ratio) or np.isnan(ratio[-1]):
        return _not_evaluated("no loss tonight")
    normal = np.array([state != "degraded" for state in states] if states is not None else [True] * len(ratio))
    past, recent = ratio[: -settings.window], ratio[-settings.window :]
    past = past[normal[: -settings.window] & ~np.isnan(past)]
    recent = recent[~np.isnan(recent)]
    if len(past) < settings.min_nights:
        return _not_evaluated(f"{len(past)} nights to compare with, {settings.min_nights} needed")
    if 2 * len(recent) < settings.window:
        return _not_evaluated(f"{len(recent)} of the {settings.window} recent nights have a loss")
    usual, statistic = float(np.median(past)), float(np.median(recent))
    deviation = MAD_TO_DEVIATION * float(np.median(np.abs(past - usual)))
    limit, effect = usual + settings.threshold * deviation, float(np.expm1(statistic - usual))
    if statistic > limit and effect >= settings.min_effect:
        return Verdict("degraded", statistic, limit, effect, _onset(ratio, (usual + statistic) / 2))
    return Verdict("ok", statistic, limit, effect, None)


def _log_ratio(losses: FloatArray, baseline: FloatArray) -> FloatArray:
    """Log of loss over baseline loss; NaN where a night lacks either."""
    losses, baseline = np.asarray(losses, np.float64), np.asarray(baseline, np.float64)
    scored = np.isfinite(losses) & np.isfinite(baseline)
    usual = float(np.median(baseline[scored])) if scored.any() else 0.0
    # Where the naive is always right (constant series), the model's own losses say what is small.
    floor = FLOOR * (usual or float(np.median(losses[scored])) if scored.any() else 0.0) or 1.0
    return np.log(np.where(scored, losses, np.nan) + floor) - np.log(np.where(scored, baseline, np.nan) + floor)


def _onset(ratio: FloatArray, halfway: float) -> int:
    """The night since which the ratios lie furthest above `halfway` in sum: the likeliest start of a step."""
    above = np.nan_to_num(ratio - halfway)
    since = np.cumsum(above[::-1])[::-1]
    return int(np.argmax(since))


def _not_evaluated(reason: str) -> Verdict:
    return Verdict("not evaluated", float("nan"), float("nan"), float("nan"), None, reason)
