"""What becomes of a version that was trained tonight, beside a champion that could go on; and how evidence is kept."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import numpy as np

from models.lifecycle.promotion import (
    Evidence,
    Sums,
    Verdict,
    at_once,
    held_out_evidence,
    objections,
    widest_interval,
    worst_segment,
)
from models.settings.training import PromotionSettings
from sql.output import history
from tasks.store.places import Places
from tasks.store.version_store import StoredVersion
from tasks.training.decide import Decided
from tasks.training.order import Trained


def verdict_on(
    places: Places,
    stored: StoredVersion,
    decided: Decided,
    trained: Trained,
    promotion: PromotionSettings,
    cutoff: datetime,
) -> tuple[Verdict, dict[str, Any] | None]:
    """Whether tonight's new version takes the champion's place at once, and the evidence as a row of `promotion`.

    It does where no champion can forecast tonight, where it continues the champion and did better on the windows that
    were held out, or where those say so of one that was trained from scratch. One that was there already and was let
    go, by evidence or by hand, does not come back.
    """
    champion = decided.champion
    versions = history.models(places.engine(), places.job)
    if champion is None:
        only = len(versions) == 1
        return Verdict("promote", "the job's first version" if only else "no other can forecast this night"), None
    if champion.version == stored.version:
        return Verdict("promote", "the training gave the champion once more"), None
    before = next(row for row in versions if row["version"] == stored.version)
    if before["stage"] == "retired":
        return Verdict("retire", f"it was let go before: {before['reason'] or 'another took its place'}"), None
    if promotion.policy == "always":
        return Verdict("promote", "promotion.policy is always"), None
    nominal = widest_interval(trained.built_for["quantile_levels"])
    by_step = np.array(trained.by_step, np.float64).reshape(-1, len(Sums._fields))
    segments = {name: Sums(*sums) for name, sums in trained.by_segment.items()}
    total = Sums(*by_step.sum(axis=0).tolist())
    evidence = held_out_evidence(by_step)
    against = objections(total, segments, nominal, promotion)
    verdict = at_once(evidence, total, against, promotion)
    if decided.mode == "warm":
        better = "it continues the champion and did better on the windows that were held out"
        verdict = Verdict("retire", f"{better}, but {' and '.join(against)}") if against else Verdict("promote", better)
    row = promotion_row(
        places.job, stored.version, champion.version, cutoff, total, segments, Evidence(*evidence, 0), verdict
    )
    return verdict, row | {"held_out": True}


def promotion_row(
    job: str,
    version: str,
    champion: str,
    evaluated_on: datetime,
    tonight: Sums,
    tonight_segments: Mapping[str, Sums],
    evidence: Evidence,
    verdict: Verdict,
    total: Sums | None = None,
    segments: Mapping[str, Sums] | None = None,
) -> dict[str, Any]:
    """A row of `promotion`: what came true on an evaluation, and what all of them say together (it alone if left
    out).
    """
    total, segments = total or tonight, segments or tonight_segments
    worst, effect = worst_segment(segments)
    nan = float("nan")
    return {
        "job": job,
        "version": version,
        "evaluated_on": evaluated_on,
        "champion_version": champion,
        "held_out": False,
        "n": int(tonight.n),
        "loss": tonight.loss / tonight.n if tonight.n else nan,
        "champion_loss": tonight.champion_loss / tonight.n if tonight.n else nan,
        "coverage": tonight.inside / tonight.n if tonight.n else nan,
        "champion_coverage": tonight.champion_inside / tonight.n if tonight.n else nan,
        "log_ratio": tonight.difference,
        "segment_sums": {name: list(sums) for name, sums in tonight_segments.items()},
        "nights": evidence.nights,
        "e_value": evidence.e_value,
        "champion_e_value": evidence.champion_e_value,
        "effect": total.loss / total.champion_loss - 1 if total.champion_loss else nan,
        "worst_segment": worst or None,
        "worst_effect": effect,
        "verdict": verdict.action,
        "reason": verdict.reason,
    }
