"""Get the model that tonight forecasts with: trained now, or the champion as it is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

from models.errors import TrainingFailed
from models.hierarchy.aggregation_levels import AggregationLevels
from models.lifecycle.promotion import Verdict
from models.settings.forecast import ForecastSettings
from models.settings.network import NetworkSettings
from models.settings.training import PromotionSettings, TrainingSettings
from sql.output import write
from tasks.runner.cluster import PACKAGE
from tasks.settings import Runner
from tasks.step import inside_flow, logger, step
from tasks.store.places import Places
from tasks.store.version_store import StoredVersion, store_version
from tasks.training.decide import Decided
from tasks.training.gpu_pool import train_on_gpu
from tasks.training.order import MODEL, Order, Trained
from tasks.training.own_process import train_apart
from tasks.training.progress import told_progress
from tasks.training.verdict import verdict_on


@dataclass(frozen=True)
class Fitted:
    """Tonight's model.

    Attributes:
        mode: scratch, warm, load or none.
        version: Name of the version that forecasts tonight; "" for none.
        folder: Local folder of the version's files; None for none.
        stored: The new version, None where none was made; it forecasts tonight where it takes the champion's place.
        lies: The version in the store, new or not; None for none.
        training: How training went, as JSON; None where nothing was trained.
        failure: Why training failed and what the night takes instead; "" where it did not.
        verdict: What becomes of the new version, and why; None where none was made.
        judged: Row of the table `promotion` of the new version, where there was a champion beside it; else None.
    """

    mode: str
    version: str = ""
    folder: Path | None = None
    stored: StoredVersion | None = None
    lies: StoredVersion | None = None
    training: dict[str, Any] | None = None
    failure: str = ""
    verdict: Verdict | None = None
    judged: dict[str, Any] | None = None

    @property
    def outcome(self) -> str:
        """What became of the new version, in words; "" where none was made."""
        if self.verdict is None or self.stored is None:
            return ""
        word = {"promote": "is the champion", "wait": "is a challenger", "retire": "is not taken"}[self.verdict.action]
        return f"{self.stored.version} {word}: {self.verdict.reason}"

    @property
    def trained_on(self) -> str:
        """How much of the series training looked at, "" where at all of them or there was none."""
        series, of = ((self.training or {}).get(name, 0) for name in ("series", "all_series"))
        return f"trained on {series:,} of {of:,} series" if series < of else ""


def fit_model(
    places: Places,
    panel_file: Path,
    decided: Decided,
    forecast: ForecastSettings,
    network: NetworkSettings,
    training: TrainingSettings,
    cutoff: datetime,
    now: datetime,
    levels: AggregationLevels,
    meaning: str,
    runner: Runner,
    run_id: str,
    promotion: PromotionSettings,
    segments: list[str],
    own: bool,
) -> Fitted:
    """Train and store a version, or take the champion; a warm start that found nothing better is the champion.

    A new version forecasts tonight where it takes the champion's place at once, see `verdict_on`; else the champion.

    `meaning` is that of the history, see `meaning_of`; `runner` says where training runs. `segments` are the static
    columns whose groups are compared apart, and with `own` what was trained forecasts tonight, whatever the verdict.
    """
    if decided.mode in ("load", "none"):
        version = decided.champion.version if decided.champion else ""
        return Fitted(decided.mode, version, decided.folder, lies=decided.champion)
    order = Order(
        package=installed_version(PACKAGE),
        job=places.job,
        panel=str(panel_file),
        start=decided.champion if decided.mode == "warm" else None,
        forecast=forecast,
        network=network,
        training=training,
        levels=levels,
        meaning=meaning,
        rival=None if promotion.policy == "always" else decided.champion,
        rival_until=decided.champion_until,
        segments=segments,
    )
    folder = panel_file.with_name("training")
    try:
        trained = train_model(places, order, decided, cutoff, folder, runner, run_id)
    except TrainingFailed as error:
        return _without_training(decided, str(error))
    logger().info("%s\n%s", "\n".join(trained.choices), trained.summary)
    champion = decided.champion
    if trained.kept_champion and champion is not None:
        return Fitted(decided.mode, champion.version, decided.folder, lies=champion, training=trained.facts)
    stored = keep_model(places, folder / MODEL, trained, cutoff, now)
    verdict, judged = verdict_on(places, stored, decided, trained, promotion, cutoff)
    logger().info("%s: %s", stored.version, verdict.reason)
    fate: dict[str, Any] = {"stored": stored, "training": trained.facts, "verdict": verdict, "judged": judged}
    if champion is None or own or verdict.action == "promote":
        return Fitted(decided.mode, stored.version, folder / MODEL, lies=stored, **fate)
    return Fitted(decided.mode, champion.version, decided.folder, lies=champion, **fate)


@step("{decided.mode}: train the model")
def train_model(
    places: Places, order: Order, decided: Decided, cutoff: datetime, folder: Path, runner: Runner, run_id: str
) -> Trained:
    """Train in a process of its own, here or on the pool `gpu` as the job says; `folder` then holds the model.

    Raises:
        TrainingFailed: the night goes on without it.
    """
    folder.mkdir(exist_ok=True)
    if runner.train_on == "gpu":
        if inside_flow():
            return train_on_gpu(places, run_id, cutoff, order, folder, runner)
        logger().info("No Prefect server is configured, so runner.train_on gpu is here.")
    order.write(folder)
    with told_progress() as tell:
        return train_apart(folder, tell)


@step("keep the new model", retries=2, retry_delay_seconds=(2, 10))
def keep_model(places: Places, folder: Path, trained: Trained, cutoff: datetime, now: datetime) -> StoredVersion:
    """Store the files of a new version and list it; not part of training, which must not be tried again with it."""
    stored = store_version(folder, places.versions, places.job, cutoff)
    metrics = {name: fact for name, fact in trained.facts.items() if name != "history"}
    metrics["built_for"] = trained.built_for
    write.add_model(
        places.engine(), places.job, stored.version, now, cutoff, stored.uri, stored.digest, metrics=metrics
    )
    return stored


def _without_training(decided: Decided, why: str) -> Fitted:
    """What a night does whose training failed: the champion that it started from, or the fallback."""
    instead = f"{decided.champion.version} as it was" if decided.champion else "the fallback for every series"
    failure = f"training failed, so tonight takes {instead}: {why}"
    logger().warning("%s", failure)
    if decided.champion is None:
        return Fitted("none", failure=failure)
    return Fitted("load", decided.champion.version, decided.folder, lies=decided.champion, failure=failure)
