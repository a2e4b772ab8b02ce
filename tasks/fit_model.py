"""Get the model that tonight forecasts with: trained now, or the champion as it is."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from models.errors import TrainingFailed
from models.levels import Levels
from models.retraining import built_for
from models.settings import ForecastSettings, NetworkSettings, TrainingSettings
from sql import history, write
from tasks.decide import SERIES_FILE, Decided
from tasks.keras_import import quiet_import
from tasks.model_store import StoredVersion, store_version
from tasks.panel_store import load_panel
from tasks.places import Places
from tasks.reconcile import to_train_on
from tasks.step import logger, step
from tasks.summary_file import write_summary
from tasks.training_progress import told_progress


@dataclass(frozen=True)
class Fitted:
    """Tonight's model.

    Attributes:
        mode: scratch, warm, load or none.
        version: Name of the version; "" for none.
        folder: Local folder of the version's files; None for none.
        stored: The new version, None where none was made.
        lies: The version in the store, new or not; None for none.
        training: How training went, as JSON; None where nothing was trained.
        failure: Why training failed and what the night takes instead; "" where it did not.
    """

    mode: str
    version: str = ""
    folder: Path | None = None
    stored: StoredVersion | None = None
    lies: StoredVersion | None = None
    training: dict[str, Any] | None = None
    failure: str = ""

    @property
    def trained_on(self) -> str:
        """How much of the series training looked at, "" where at all of them or there was none."""
        series, of = ((self.training or {}).get(name, 0) for name in ("series", "all_series"))
        return f"trained on {series:,} of {of:,} series" if series < of else ""


@step("{decided.mode}: get the model", retries=1, retry_delay_seconds=(5,))
def fit_model(
    places: Places,
    panel_file: Path,
    decided: Decided,
    forecast: ForecastSettings,
    network: NetworkSettings,
    training: TrainingSettings,
    cutoff: datetime,
    now: datetime,
    levels: Levels,
    meaning: str,
) -> Fitted:
    """Train and store a version, or take the champion; a warm start that found nothing better is the champion.

    `meaning` is that of the history, see `meaning_of`.
    """
    if decided.mode in ("load", "none"):
        version = decided.champion.version if decided.champion else ""
        return Fitted(decided.mode, version, decided.folder, lies=decided.champion)
    # TensorFlow takes seconds to import: only here, where it computes.
    with quiet_import():
        from models.fitting import fit
        from models.forecaster import Forecaster

    panel = to_train_on(load_panel(panel_file), levels)
    start = Forecaster.load(decided.folder) if decided.folder else None
    try:
        with told_progress() as progress:
            forecaster, report = fit(panel, forecast, network, training, start_from=start, progress=progress)
    except TrainingFailed as error:
        return _without_training(decided, str(error))
    logger().info("%s\n%s", "\n".join(forecaster.choices), forecaster.summary)
    facts = asdict(report)
    if report.kept_champion and decided.champion is not None:
        return Fitted(decided.mode, decided.champion.version, decided.folder, lies=decided.champion, training=facts)
    folder = panel_file.with_name("model")
    folder.mkdir(exist_ok=True)
    forecaster.save(folder)
    # Series outside of the sample count as known: training again would not take them in either.
    known = panel.accepted_ids
    np.save(folder / SERIES_FILE, np.union1d(known, _known_before(decided)), allow_pickle=False)
    if not levels:  # sums need the whole history of their parts
        write_summary(folder, panel, meaning)
    stored = store_version(folder, places.versions, places.job, cutoff)
    _list_version(places, stored, cutoff, now, facts | {"built_for": built_for(forecast, network, panel.covariates)})
    return Fitted(decided.mode, stored.version, folder, stored, stored, facts)


def _without_training(decided: Decided, why: str) -> Fitted:
    """What a night does whose training failed: the champion that it started from, or the fallback."""
    instead = f"{decided.champion.version} as it was" if decided.champion else "the fallback for every series"
    failure = f"training failed, so tonight takes {instead}: {why}"
    logger().warning("%s", failure)
    if decided.champion is None:
        return Fitted("none", failure=failure)
    return Fitted("load", decided.champion.version, decided.folder, lies=decided.champion, failure=failure)


@step("promote {fitted.version}", retries=2, retry_delay_seconds=(2, 10))
def promote_model(places: Places, fitted: Fitted, cutoff: datetime, now: datetime) -> None:
    """Make tonight's new version the champion, unless the champion has seen more."""
    if fitted.stored is None:
        return
    champion = history.champion(places.engine(), places.job)
    if champion is None or champion["trained_until"] <= cutoff:
        write.promote(places.engine(), places.job, fitted.stored.version, now)


def _list_version(
    places: Places, stored: StoredVersion, cutoff: datetime, now: datetime, metrics: dict[str, Any]
) -> None:
    metrics = {name: value for name, value in metrics.items() if name != "history"}
    write.add_model(
        places.engine(), places.job, stored.version, now, cutoff, stored.uri, stored.digest, metrics=metrics
    )


def _known_before(decided: Decided) -> Any:
    return np.load(decided.folder / SERIES_FILE, allow_pickle=False) if decided.folder else np.array([], dtype=str)
