"""Get the model that tonight forecasts with: trained now, or the champion as it is."""

from __future__ import annotations

from dataclasses import replace
from importlib.metadata import version as installed_version
from pathlib import Path
from shutil import rmtree

from models.errors import TrainingFailed
from sql.full_disk import FullDisk, told_of_full_disk
from tasks.night.night import Night
from tasks.reading.history_file import source_fingerprint
from tasks.runner.cluster import PACKAGE
from tasks.step import inside_flow, logger, step
from tasks.store.probes import require_space_for_version
from tasks.store.version_store import StoredVersion, store_version
from tasks.training.decide import Decision
from tasks.training.night_model import NightModel
from tasks.training.order import MODEL, Order, Trained
from tasks.training.own_process import train_apart
from tasks.training.progress import training_progress
from tasks.training.promotion import judge_new_version


def fit_model(night: Night, panel_file: Path, decision: Decision, use_new_model: bool) -> NightModel:
    """Train and store a version, or take the champion.

    A new version forecasts tonight if it takes the champion's place, see `judge_new_version`, or if
    `use_new_model` is set; else the champion does. Continued training that finds nothing better gives the champion.
    """
    champion = NightModel(decision.mode, decision.champion, decision.folder)
    if decision.mode in ("load", "none"):
        return champion
    try:
        require_space_for_version(night.places)
    except FullDisk as error:
        return _without_training(champion, "no new version could be stored", error)
    order = _order(night, panel_file, decision)
    folder = panel_file.with_name("training")
    try:
        trained = train_model(night, order, decision, folder)
    except (TrainingFailed, FullDisk) as error:
        # What the night goes on with needs the space that training took.
        rmtree(folder, ignore_errors=True)
        return _without_training(champion, "training failed", error)
    logger().info("%s\n%s", "\n".join(trained.choices), trained.summary)
    champion = replace(champion, training=trained.facts)
    if champion.cut:
        logger().warning("%s", champion.cut)
    if trained.kept_champion and decision.champion is not None:
        return champion
    try:
        new = keep_model(night, folder / MODEL, trained)
    except OSError as error:
        rmtree(folder, ignore_errors=True)
        return _without_training(champion, "the new version could not be stored", error)
    promotion, evaluation = judge_new_version(night, new, decision, trained)
    logger().info("%s: %s", new.version, promotion.reason)
    model = replace(champion, new_version=new, promotion=promotion, evaluation=evaluation)
    if decision.champion is None or use_new_model or model.takes_over:
        return replace(model, serving_version=new, folder=folder / MODEL)
    return model


def _order(night: Night, panel_file: Path, decision: Decision) -> Order:
    """What to train tonight."""
    job = night.job
    return Order(
        package=installed_version(PACKAGE),
        job=job.name,
        panel=str(panel_file),
        start=decision.champion if decision.mode == "warm" else None,
        forecast=job.forecast,
        network=job.network,
        training=night.training,
        levels=job.aggregation_levels,
        source_fingerprint=source_fingerprint(job, night.places.base),
        steps_before=steps_before(night, decision.mode),
        champion=None if job.promotion_settings.policy == "always" else decision.champion,
        champion_until=decision.champion_until,
        segments=job.monitor.segments,
    )


def steps_before(night: Night, mode: str) -> list[int]:
    """For each member, the steps that there was time for when the job was last trained in a mode; empty for never."""
    known = [row for row in night.ledger.models() if row["trained_until"] <= night.cutoff]
    same = [row for row in known if row["metrics"].get("mode") == mode]
    newest = max(same, key=lambda row: (row["trained_until"], row["created_at"]), default=None)
    return [] if newest is None else newest["metrics"].get("steps_in_time", [])


@step("{decision.mode}: train the model")
def train_model(night: Night, order: Order, decision: Decision, folder: Path) -> Trained:
    """Train in a process of its own, here or on the pool `gpu` as the job says; `folder` then holds the model.

    Raises:
        TrainingFailed: the night continues without a new model.
        FullDisk: so it does where there is no space to train.
    """
    with told_of_full_disk(folder):
        folder.mkdir(exist_ok=True)
        order.write(folder)
    if night.job.runner.train_on == "gpu":
        if inside_flow():
            from tasks.training.gpu_pool import train_on_gpu

            return train_on_gpu(night, order, folder)
        logger().info("No Prefect server is configured, so runner.train_on gpu is here.")
    with training_progress() as on_progress:
        return train_apart(folder, on_progress)


# Not part of the training step: a retry must not train again.
@step("keep the new model", retries=2, retry_delay_seconds=(2, 10))
def keep_model(night: Night, folder: Path, trained: Trained) -> StoredVersion:
    """Store the files of a new version, and list it."""
    stored = store_version(folder, night.places.versions, night.job.name, night.cutoff, night.places.lock)
    metrics = {name: fact for name, fact in trained.facts.items() if name != "history"}
    metrics["built_for"] = trained.built_for
    night.ledger.add_model(stored, night.started_at, night.cutoff, metrics)
    return stored


def _without_training(champion: NightModel, what: str, error: Exception) -> NightModel:
    """The model of a night that has no new one: the champion, or none, which leaves every series to the fallback."""
    fallback = f"{champion.version} as it was" if champion.version else "the fallback for every series"
    failure = f"{what}, so tonight takes {fallback}: {error}"
    logger().warning("%s", failure)
    if champion.serving_version is None:
        return NightModel("none", failure=failure)
    return replace(champion, mode="load", failure=failure)
