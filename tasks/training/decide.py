"""Decide how tonight's model comes about: trained from scratch, continued, or loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from models.arrays import StringArray
from models.lifecycle.retraining import ChampionFacts, Policy, Trainings, built_for, decide_training
from models.network.version_file import what_is_wrong
from models.settings.forecast import ForecastSettings
from models.settings.network import NetworkSettings
from models.settings.training import TrainingSettings
from sql.output import history
from tasks.step import logger, step
from tasks.store.panel_file import load_panel
from tasks.store.places import Places
from tasks.store.version_store import SERIES_FILE, DamagedVersion, StoredVersion, fetch_version, locate_version

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Decided:
    """How to get tonight's model.

    Attributes:
        mode: scratch, warm, load, or none where there is nothing that a model could forecast.
        reason: Why, in words.
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
    series_ids: StringArray | None,
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
    wanted = built_for(forecast, network, covariates)
    row, folder, damage, word = _champion(places, wanted, training.policy, cutoff, scratch)
    facts = None
    if row is not None:
        facts = ChampionFacts(row["version"], row["trained_until"], row["metrics"]["built_for"], damage)
    evaluations = [each for each in history.losses(places.engine(), places.job, "all") if each["evaluated_on"] < cutoff]
    mode, reason = decide_training(
        training.policy,
        facts,
        wanted=wanted,
        cutoff=cutoff,
        unknown_share=0.0 if folder is None or series_ids is None else _unknown_share(series_ids, folder),
        loss_state=str(evaluations[-1]["state"]) if evaluations else "not evaluated",
        settings=training,
        degraded_since=degraded_since(evaluations),
        trainings=_trainings(places, cutoff),
    )
    reason = f"{word}; {reason}" if word else reason
    serves = row is not None and folder is not None and row["metrics"]["built_for"] == wanted
    if row is None or not serves:
        return Decided(mode, reason)
    return Decided(mode, reason, _stored(places, row), folder, row["trained_until"])


def _champion(
    places: Places, wanted: Mapping[str, Any], policy: Policy, cutoff: datetime, scratch: Path
) -> tuple[Row | None, Path | None, str, str]:
    """The champion of a night, its folder, what keeps it from being read, and a word where another takes its place.

    The one before takes over where it cannot be read, if that one can be and serves tonight. Which version is the
    champion stays as it is: its folder may come back.

    Raises:
        DamagedVersion: nothing may be trained, and none can be read.
    """
    row = champion_as_of(places, cutoff)
    # One that has seen what comes after the cutoff is named as the reason, and its files are none of tonight's.
    if row is None or row["trained_until"] > cutoff:
        return row, None, "", ""
    folder, found = _fetched(places, row, scratch, policy)
    if folder is not None:
        return row, folder, "", ""
    for former in _champions_before(history.models(places.engine(), places.job), row, cutoff):
        folder, _ = _fetched(places, former, scratch, policy)
        if folder is not None and former["metrics"]["built_for"] == wanted:
            word = f"champion {row['version']} cannot be read: {found}; {former['version']}, the one before, takes over"
            return former, folder, "", word
    if policy == "never":
        fetch_version(_stored(places, row), scratch)
    return row, None, str(found), ""


def champion_as_of(places: Places, cutoff: datetime) -> Row | None:
    """The champion of the night of a cutoff: the newest version that served then, whatever became of it since.

    Where none did, the newest that had learnt from nothing later, if any; else the champion as it is. One that was
    rolled back is not taken up again.
    """
    champion = history.champion(places.engine(), places.job)
    if champion is None or serves_from(champion) <= cutoff:
        return champion
    rows = [each for each in history.models(places.engine(), places.job) if each["trained_until"] <= cutoff]
    former = [each for each in rows if each["promoted_at"] is not None and serves_from(each) <= cutoff]
    others = [each for each in rows if each["stage"] == "challenger"]
    by_age = sorted(others, key=lambda each: (each["trained_until"], each["created_at"]))
    by_reign = sorted(former, key=lambda each: (serves_from(each), each["promoted_at"]))
    return [champion, *by_age, *by_reign][-1]


def serves_from(row: Row) -> datetime:
    """The first cutoff that a version forecasts from, or did, as champion."""
    served: datetime = row["served_from"] or row["trained_until"]
    return served


def _champions_before(rows: Sequence[Row], champion: Row, cutoff: datetime) -> list[Row]:
    """Former champions, the last one first."""
    last = champion["promoted_at"]
    former = [
        row
        for row in rows
        if row["promoted_at"] is not None
        and row["version"] != champion["version"]
        and row["trained_until"] <= cutoff
        and (last is None or row["promoted_at"] < last)
    ]
    return sorted(former, key=lambda row: (row["promoted_at"], row["created_at"]), reverse=True)


def degraded_since(evaluations: Sequence[Row]) -> datetime | None:
    """The first of the newest evaluations that were degraded, or not evaluated in between; None where the last was
    well.

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


def _trainings(places: Places, cutoff: datetime) -> Trainings:
    """What was trained up to a cutoff, as far as it could be known then."""
    rows = [row for row in history.models(places.engine(), places.job) if row["trained_until"] <= cutoff]
    anew = [row["trained_until"] for row in rows if row["metrics"].get("mode") == "scratch"]
    continued = [
        run["cutoff"]
        for run in history.runs(places.engine(), places.job)
        if run["train_mode"] == "warm" and run["state"] in ("completed", "unchanged") and run["cutoff"] < cutoff
    ]
    judged = contender(places)
    in_shadow = judged["version"] if judged is not None and judged["trained_until"] <= cutoff else ""
    return Trainings(max(anew, default=None), max(continued, default=None), in_shadow)


def contender(places: Places) -> Row | None:
    """The challenger that forecasts in the champion's shadow: the newest one of which there is a row in `promotion`."""
    waiting = [row for row in history.models(places.engine(), places.job) if row["stage"] == "challenger"]
    newest_first = sorted(waiting, key=lambda row: (row["trained_until"], row["created_at"]), reverse=True)
    # Most nights have no challenger, and a job of years has many rows about former ones.
    judged = (row for row in newest_first if history.promotions(places.engine(), places.job, row["version"]))
    return next(judged, None)


def _stored(places: Places, row: Row) -> StoredVersion:
    noted = StoredVersion(row["version"], row["uri"], row["digest"])
    return locate_version(noted, places.versions, places.job)


def _fetched(places: Places, row: Row, scratch: Path, policy: Policy) -> tuple[Path | None, str]:
    """The version's folder, or what keeps it from being read: no reason to leave a night without forecasts."""
    try:
        folder = fetch_version(_stored(places, row), scratch)
    except DamagedVersion as error:
        return None, error.found
    # A version of another release is whole, and still none that could be continued.
    wrong = "" if policy == "never" else what_is_wrong(folder)
    return (None, wrong) if wrong else (folder, "")


def _unknown_share(series_ids: Any, folder: Path) -> float:
    return float(1 - np.isin(series_ids, np.load(folder / SERIES_FILE, allow_pickle=False)).mean())
