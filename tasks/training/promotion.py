"""What becomes of a version that was trained tonight, and the rows of `promotion` that keep the evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from models.lifecycle.e_values import EValues, held_out_e_values
from models.lifecycle.paired_sums import PairedSums
from models.lifecycle.promotion import PromotionDecision, decide_at_once, objections, widest_interval, worst_segment
from tasks.night.night import Night
from tasks.step import step
from tasks.store.version_store import StoredVersion
from tasks.training.champion import is_newest, judged_challenger, serves_from
from tasks.training.decide import Decision
from tasks.training.night_model import NightModel
from tasks.training.order import Trained


@dataclass(frozen=True)
class Compared:
    """What a new version and the champion lost on the same points, in all and in each segment."""

    total: PairedSums
    segments: Mapping[str, PairedSums]


@dataclass(frozen=True)
class Evaluation:
    """One evaluation of a version beside the champion.

    Attributes:
        version: The version.
        champion_version: The champion.
        evaluated_on: Cutoff of the night.
        tonight: What both lost on the points of this evaluation.
        overall: What both lost on the points of all evaluations up to this one.
        evidence: What all evaluations say.
        promotion: What happens to the version.
        held_out: Whether the points were held out when the version was trained, instead of forecast later.
    """

    version: str
    champion_version: str
    evaluated_on: datetime
    tonight: Compared
    overall: Compared
    evidence: EValues
    promotion: PromotionDecision
    held_out: bool = False

    def row(self, job: str) -> dict[str, Any]:
        """A row of the table `promotion`."""
        tonight, overall = self.tonight.total, self.overall.total
        worst, worst_effect = worst_segment(self.overall.segments)
        return {
            "job": job,
            "version": self.version,
            "evaluated_on": self.evaluated_on,
            "champion_version": self.champion_version,
            "held_out": self.held_out,
            "n": int(tonight.n),
            "loss": _ratio(tonight.loss, tonight.n),
            "champion_loss": _ratio(tonight.champion_loss, tonight.n),
            "coverage": _ratio(tonight.inside, tonight.n),
            "champion_coverage": _ratio(tonight.champion_inside, tonight.n),
            "log_ratio": tonight.difference,
            "segment_sums": {name: list(sums) for name, sums in self.tonight.segments.items()},
            "nights": self.evidence.nights,
            "e_value": self.evidence.e_value,
            "champion_e_value": self.evidence.champion_e_value,
            "effect": overall.effect,
            "worst_segment": worst or None,
            "worst_effect": worst_effect,
            "action": self.promotion.action,
            "reason": self.promotion.reason,
        }


def judge_new_version(
    night: Night, new: StoredVersion, decision: Decision, trained: Trained
) -> tuple[PromotionDecision, Mapping[str, Any] | None]:
    """Whether tonight's new version takes the champion's place at once, and the evidence as a row of `promotion`.

    It does where no champion can forecast tonight, where it continues the champion and did better on the windows that
    were held out, or where these give enough evidence for a version that was trained from scratch. A version that was
    retired before, by evidence or by hand, does not come back.
    """
    champion = decision.champion
    if champion is None:
        only = len(night.ledger.models()) == 1
        reason = "the job's first version" if only else "no other can forecast this night"
        return PromotionDecision("promote", reason), None
    promotion = _without_evidence(night, new, champion)
    if promotion is not None:
        return promotion, None
    policy = night.job.promotion_settings
    by_step = np.array(trained.by_step, np.float64).reshape(-1, len(PairedSums._fields))
    segments = {name: PairedSums(*sums) for name, sums in trained.by_segment.items()}
    compared = Compared(PairedSums(*by_step.sum(axis=0).tolist()), segments)
    nominal = widest_interval(trained.built_for["quantile_levels"])
    against = objections(compared.total, compared.segments, nominal, policy)
    evidence = held_out_e_values(by_step)
    if decision.mode == "warm":
        promotion = _of_continued(against)
    else:
        promotion = decide_at_once(evidence, compared.total, against, policy)
    evaluation = Evaluation(
        new.version, champion.version, night.cutoff, compared, compared, evidence, promotion, held_out=True
    )
    return promotion, evaluation.row(night.job.name)


def _without_evidence(night: Night, new: StoredVersion, champion: StoredVersion) -> PromotionDecision | None:
    """What becomes of a new version where no evidence is needed; None where evidence decides."""
    if champion.version == new.version:
        return PromotionDecision("promote", "the training gave the champion once more")
    before = next(row for row in night.ledger.models() if row["version"] == new.version)
    if before["stage"] == "retired":
        return PromotionDecision("retire", f"it was retired before: {before['reason'] or 'another took its place'}")
    if night.job.promotion_settings.policy == "always":
        return PromotionDecision("promote", "promotion.policy is always")
    return None


def _of_continued(against: Sequence[str]) -> PromotionDecision:
    """What becomes of a version that continues the champion and did better than it, but for what speaks against it."""
    better = "it continues the champion and did better on the windows that were held out"
    if against:
        return PromotionDecision("retire", f"{better}, but {' and '.join(against)}")
    return PromotionDecision("promote", better)


@step("promote or retire {model.new_version.version}", retries=2, retry_delay_seconds=(2, 10))
def apply_promotion(night: Night, model: NightModel) -> None:
    """Make tonight's new version the champion, a challenger or a retired version, as was decided.

    A night before the present champion's first one keeps the version and changes nothing else. At most one challenger
    is judged beside the champion, and only the newest night may put one there.
    """
    if model.new_version is None or model.promotion is None:
        return
    ledger, version = night.ledger, model.new_version.version
    champion = ledger.champion()
    if champion is not None and (champion["version"] == version or serves_from(champion) > night.cutoff):
        return
    action, reason = model.promotion
    if action == "promote":
        ledger.promote(version, night.started_at, served_from=night.cutoff, reason=reason)
    elif action == "retire":
        ledger.retire(version, reason)
    if not is_newest(night):
        return
    before = judged_challenger(ledger)
    if model.evaluation is not None:
        ledger.upsert_promotions([model.evaluation])
    if before is not None and before["version"] != version and action != "retire" and model.mode == "scratch":
        ledger.retire(before["version"], f"undecided when {version} was trained")


def _ratio(value: float, by: float) -> float:
    return value / by if by else float("nan")
