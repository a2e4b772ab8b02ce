"""Decide how tonight's model comes about: trained from scratch, continued, or loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from models.retraining import ChampionFacts, Policy, built_for, decide_training
from models.settings import ForecastSettings, NetworkSettings, TrainingSettings
from models.version import what_is_wrong
from sql import history
from tasks.model_store import SERIES_FILE, DamagedVersion, StoredVersion, fetch_version, locate_version
from tasks.panel_store import load_panel
from tasks.places import Places
from tasks.step import logger, step


@dataclass(frozen=True)
class Decided:
    """How to get tonight's model.

    Attributes:
        mode: scratch, warm, load, or none where there is nothing that a model could forecast.
        reason: Why, in words.
        champion: The version to continue or load; None for scratch and none.
        folder: Its local folder, checked.
    """

    mode: str
    reason: str
    champion: StoredVersion | None = None
    folder: Path | None = None


@step("decide whether to train", retries=2, retry_delay_seconds=(2, 10))
def decide(
    places: Places,
    panel_file: Path,
    forecast: ForecastSettings,
    network: NetworkSettings,
    training: TrainingSettings,
    cutoff: datetime,
    scratch: Path,
) -> Decided:
    """Weigh the champion's age, new series and the watched loss; says why.

    Raises:
        DamagedVersion: nothing may be trained, and the champion cannot be read.
    """
    panel = load_panel(panel_file)
    if len(panel.refused) == len(panel):
        return Decided("none", f"each of {len(panel)} series is left to the fallback")
    # Refused series stay unknown however often one trains.
    decided = weigh(places, panel.covariates, panel.accepted_ids, forecast, network, training, cutoff, scratch)
    logger().info("%s: %s", decided.mode, decided.reason)
    return decided


def weigh(
    places: Places,
    covariates: Mapping[str, list[str]],
    series_ids: npt.NDArray[np.str_] | None,
    forecast: ForecastSettings,
    network: NetworkSettings,
    training: TrainingSettings,
    cutoff: datetime,
    scratch: Path,
) -> Decided:
    """What `decide` says of a night with these covariates and series; as if all were known where they are None.

    Raises:
        InputError: nothing may be trained, and there is nothing to load.
        DamagedVersion: nothing may be trained, and the champion cannot be read.
    """
    row = None if training.policy == "scratch" else champion_as_of(places, cutoff)
    # One that has seen what comes after the cutoff is named as the reason, and its files are none of tonight's.
    stored = _stored(places, row) if row and row["trained_until"] <= cutoff else None
    folder, damage = (None, "") if stored is None else _fetched(stored, scratch, training.policy)
    facts = None
    if row is not None:
        facts = ChampionFacts(row["version"], row["trained_until"], row["metrics"]["built_for"], damage)
    mode, reason = decide_training(
        training.policy,
        facts,
        wanted=built_for(forecast, network, covariates),
        cutoff=cutoff,
        unknown_share=0.0 if folder is None or series_ids is None else _unknown_share(series_ids, folder),
        loss_state=_loss_state(places, cutoff),
        settings=training,
    )
    return Decided(mode, reason) if mode == "scratch" else Decided(mode, reason, stored, folder)


def champion_as_of(places: Places, cutoff: datetime) -> Mapping[str, Any] | None:
    """The champion; where it has seen what came after the cutoff, the newest version that has not, if any.

    One that was rolled back is not taken up again.
    """
    champion = history.champion(places.engine(), places.job)
    if champion is None or champion["trained_until"] <= cutoff:
        return champion
    older = [
        row
        for row in history.models(places.engine(), places.job)
        if row["trained_until"] <= cutoff and (row["stage"] != "retired" or row["promoted_at"] is not None)
    ]
    return max(older, key=lambda row: (row["trained_until"], row["created_at"]), default=champion)


def _stored(places: Places, row: Mapping[str, Any]) -> StoredVersion:
    noted = StoredVersion(row["version"], row["uri"], row["digest"])
    return locate_version(noted, places.versions, places.job)


def _fetched(stored: StoredVersion, scratch: Path, policy: Policy) -> tuple[Path | None, str]:
    """The version's folder, or what keeps it from being read: no reason to leave a night without forecasts."""
    try:
        folder = fetch_version(stored, scratch)
    except DamagedVersion as error:
        if policy == "never":
            raise
        return None, error.found
    # A version of another release is whole, and still none that could be continued.
    wrong = "" if policy == "never" else what_is_wrong(folder)
    return (None, wrong) if wrong else (folder, "")


def _unknown_share(series_ids: Any, folder: Path) -> float:
    return float(1 - np.isin(series_ids, np.load(folder / SERIES_FILE, allow_pickle=False)).mean())


def _loss_state(places: Places, cutoff: datetime) -> str:
    evenings = [row for row in history.losses(places.engine(), places.job, "all") if row["evaluated_on"] < cutoff]
    return str(evenings[-1]["state"]) if evenings else "not evaluated"
