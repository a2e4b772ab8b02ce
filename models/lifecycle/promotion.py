"""Whether a challenger takes the champion's place: the evidence, and the objections that outweigh it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np

from models.counted import counted
from models.lifecycle.e_values import NO_EVIDENCE, EValues
from models.lifecycle.paired_sums import PairedSums
from models.settings.training import PromotionSettings

# Coverage counts as worse where it is this much further from nominal.
WORSE_COVERAGE = 0.01
# With fewer points, neither coverage nor a segment is an objection.
FEWEST_POINTS = 100


class PromotionDecision(NamedTuple):
    """What happens to a challenger, and why."""

    action: Literal["promote", "wait", "retire"]
    reason: str


def widest_interval(quantile_levels: Sequence[float]) -> float | None:
    """The nominal coverage of the widest central interval of these quantile levels; None where there is none.

    >>> round(widest_interval([0.05, 0.5, 0.95]), 3)
    0.9
    """
    lowest, highest = min(quantile_levels), max(quantile_levels)
    return highest - lowest if highest > lowest and np.isclose(lowest + highest, 1.0) else None


def objections(
    total: PairedSums, segments: Mapping[str, PairedSums], nominal: float | None, settings: PromotionSettings
) -> list[str]:
    """Reasons not to promote a challenger, whatever the evidence.

    Args:
        total: Over all points.
        segments: Over each segment's points.
        nominal: Coverage of the widest central interval; None where there is none.
        settings: How much worse a segment may be.
    """
    found = []
    if nominal is not None and total.n >= FEWEST_POINTS:
        coverage, champions = total.inside / total.n, total.champion_inside / total.n
        if abs(coverage - nominal) > abs(champions - nominal) + WORSE_COVERAGE:
            found.append(f"coverage is {coverage:.0%} where {nominal:.0%} is nominal, the champion's {champions:.0%}")
    name, effect = worst_segment(segments)
    if effect >= settings.worst_segment:
        found.append(f"{name} is {effect:.0%} worse")
    return found


def worst_segment(segments: Mapping[str, PairedSums]) -> tuple[str, float]:
    """The segment in which the challenger does worst, and its `PairedSums.effect`.

    Segments of few points are left out; ("", NaN) where no other is left.
    """
    effects = {
        name: sums.effect for name, sums in segments.items() if sums.n >= FEWEST_POINTS and sums.champion_loss > 0
    }
    if not effects:
        return "", float("nan")
    name = max(effects, key=lambda each: effects[each])
    return name, effects[name]


def decide_at_once(
    held_out: EValues, total: PairedSums, against: Sequence[str], settings: PromotionSettings
) -> PromotionDecision:
    """Decide about a version that was trained from scratch tonight, beside a champion that could continue.

    Args:
        held_out: From `held_out_e_values`.
        total: Over the held-out points.
        against: From `objections`.
        settings: How much evidence is enough.
    """
    if not total.n or held_out == NO_EVIDENCE:
        reason = "there are too few steps that neither has learnt from; it forecasts in the champion's shadow"
        return PromotionDecision("wait", reason)
    described = f"{total.describe()} on steps that neither has learnt from, e-value {held_out.e_value:.3g}"
    return _decided(described, held_out, against, settings)


def decide_in_shadow(
    evidence: EValues, total: PairedSums, against: Sequence[str], settings: PromotionSettings
) -> PromotionDecision:
    """Decide about a challenger after some nights in the champion's shadow.

    Args:
        evidence: From `e_values_of`.
        total: Over the points of all these nights.
        against: From `objections`.
        settings: How much evidence is enough, and how many nights a challenger has.
    """
    described = (
        f"{total.describe()} over {counted(evidence.nights, 'night')} in its shadow, e-value {evidence.e_value:.3g}"
    )
    decision = _decided(described, evidence, against, settings)
    if decision.action == "wait" and evidence.nights >= settings.nights:
        return PromotionDecision("retire", f"{described}: not enough within {counted(settings.nights, 'night')}")
    return decision


def _decided(
    described: str, evidence: EValues, against: Sequence[str], settings: PromotionSettings
) -> PromotionDecision:
    if evidence.e_value >= settings.evidence and evidence.e_value > evidence.champion_e_value:
        if against:
            return PromotionDecision("wait", f"{described}, but {' and '.join(against)}")
        return PromotionDecision("promote", f"{described}, {settings.evidence:g} is enough")
    if evidence.champion_e_value >= settings.evidence:
        return PromotionDecision("retire", f"{described}, and {evidence.champion_e_value:.3g} for the champion")
    return PromotionDecision("wait", f"{described}, {settings.evidence:g} would be enough")
