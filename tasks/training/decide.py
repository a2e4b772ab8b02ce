"""Decide how tonight's model comes about: trained from scratch, continued, or loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from models.arrays import StringArray
from models.lifecycle.retraining import ChampionFacts, TrainingNeed, Trainings, built_for, decide_training
from tasks.night.night import Night
from tasks.step import logger, step
from tasks.store.panel_file import load_panel
from tasks.store.version_store import StoredVersion, known_series
from tasks.training.champion import champion_of, judged_challenger, stored_version

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Decision:
    """How tonight's model comes about.

    Attributes:
        mode: scratch, warm, load, or none where there is no series that a model could forecast.
        reason: Why, for people.
        champion: The version that can forecast tonight: to load, to continue, or to beat; None where there is none.
        folder: Its local folder, checked.
        champion_until: The newest timestamp that it has learnt from.
    """

    mode: str
    reason: str
    champion: StoredVersion | None = None
    folder: Path | None = None
    champion_until: datetime | None = None


@step("decide whether to train", retries=2, retry_delay_seconds=(2, 10))
def decide(night: Night, panel_file: Path) -> Decision:
    """Decide by the champion's age, the share of new series and the state of the loss.

    Raises:
        InputError: nothing may be trained, and there is nothing to load.
        DamagedVersion: nothing may be trained, and the champion cannot be read.
    """
    panel = load_panel(panel_file)
    if len(panel.refused) == len(panel):
        return Decision("none", f"each of {len(panel)} series is left to the fallback")
    # Training does not make a refused series known.
    decision = decide_for(night, panel.covariates, panel.accepted_ids)
    logger().info("%s: %s", decision.mode, decision.reason)
    return decision


def decide_for(night: Night, covariates: Mapping[str, list[str]], series_ids: StringArray | None = None) -> Decision:
    """The decision of a night with these covariates and series.

    Args:
        night: The night.
        covariates: Kind to column names, see `Panel.covariates`.
        series_ids: The series that a model could forecast; None where the champion is to count as knowing all.

    Raises:
        InputError: nothing may be trained, and there is nothing to load.
        DamagedVersion: nothing may be trained, and the champion cannot be read.
    """
    wanted = built_for(night.job.forecast, night.job.network, covariates)
    champion = champion_of(night, wanted)
    facts = None
    if champion is not None:
        row = champion.row
        facts = ChampionFacts(row["version"], row["trained_until"], row["metrics"]["built_for"], champion.damage)
    evaluations = [row for row in night.ledger.losses("all") if row["evaluated_on"] < night.cutoff]
    need = TrainingNeed(
        unknown_share=_unknown_share(series_ids, None if champion is None else champion.folder),
        loss_state=str(evaluations[-1]["state"]) if evaluations else "not evaluated",
        degraded_since=degraded_since(evaluations),
        trainings=_trainings(night),
    )
    mode, reason = decide_training(
        night.policy, facts, wanted=wanted, cutoff=night.cutoff, need=need, settings=night.training
    )
    if champion is None:
        return Decision(mode, reason)
    reason = f"{champion.note}; {reason}" if champion.note else reason
    if champion.folder is None or champion.row["metrics"]["built_for"] != wanted:
        return Decision(mode, reason)
    stored = stored_version(night.places, champion.row)
    return Decision(mode, reason, stored, champion.folder, champion.row["trained_until"])


def degraded_since(evaluations: Sequence[Row]) -> datetime | None:
    """The first of the newest evaluations that were degraded, or not evaluated in between; None where the last was ok.

    Args:
        evaluations: Rows of `loss` of one segment, oldest first.
    """
    since = None
    for evaluation in reversed(evaluations):
        if evaluation["state"] == "degraded":
            since = evaluation["evaluated_on"]
        elif evaluation["state"] != "not evaluated":
            break
    return since


def _trainings(night: Night) -> Trainings:
    """What was trained before tonight, as far as it could be known then."""
    rows = [row for row in night.ledger.models() if row["trained_until"] <= night.cutoff]
    from_scratch = [row["trained_until"] for row in rows if row["metrics"].get("mode") == "scratch"]
    continued = [
        run["cutoff"]
        for run in night.ledger.runs()
        if run["train_mode"] == "warm" and run["state"] in ("completed", "unchanged") and run["cutoff"] < night.cutoff
    ]
    judged = judged_challenger(night.ledger)
    in_shadow = judged["version"] if judged is not None and judged["trained_until"] <= night.cutoff else ""
    return Trainings(max(from_scratch, default=None), max(continued, default=None), in_shadow)


def _unknown_share(series_ids: StringArray | None, folder: Path | None) -> float:
    """The share of series that the version in a folder does not know."""
    if series_ids is None or folder is None:
        return 0.0
    return float(1 - np.isin(series_ids, known_series(folder)).mean())
