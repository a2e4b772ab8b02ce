"""Forecast every series, shard by shard, into the night's Parquet file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from models.arrays import BoolArray
from models.baselines.fallback import Fallback
from models.calibration.calibration import Calibration
from models.hierarchy.aggregation_levels import AggregationLevels
from models.network.forecaster import Forecaster
from models.panel.panel import Panel
from models.panel.shards import shards
from models.settings.forecast import ForecastSettings
from models.settings.monitoring import CalibrationSettings
from tasks.forecasting.aggregates import with_aggregates
from tasks.forecasting.calibration import packed, tonights_calibration
from tasks.forecasting.cluster_shards import parts_from_cluster
from tasks.forecasting.reconcile import reconciled
from tasks.forecasting.shard import Tonight, bare_fallback, shard_parts
from tasks.prefect_ui import show_progress
from tasks.settings import Runner
from tasks.step import step
from tasks.store.night_file import save_night
from tasks.store.panel_file import load_panel
from tasks.store.places import Places
from tasks.training.fit_model import Fitted


@dataclass(frozen=True)
class Predicted:
    """Tonight's forecast.

    Attributes:
        file: Parquet file of its rows (see `save_night`), one per series and step, series by series.
        series: Number of series.
        fallback_reasons: Why series were left to the fallback, and how many each.
        summary: Table of the network's layers; "" without a network.
        choices: What was chosen for the network and why, and what calibration did.
        calibrated_by: File of what quantiles were calibrated by; None where they were not.
    """

    file: Path
    series: int
    fallback_reasons: dict[str, int]
    summary: str = ""
    choices: list[str] = field(default_factory=list)
    calibrated_by: Path | None = None

    @property
    def fallback_series(self) -> int:
        return sum(self.fallback_reasons.values())


@step("forecast every series")
def predict(
    places: Places,
    panel_file: Path,
    fitted: Fitted,
    forecast: ForecastSettings,
    runner: Runner,
    cutoff: datetime,
    run_id: str,
    created_at: datetime,
    levels: AggregationLevels,
    seed: int,
    settings: CalibrationSettings,
) -> Predicted:
    """Forecast with tonight's model; series that it cannot forecast get the fallback and the reason.

    The model's quantiles are calibrated, unless the `settings` say otherwise; the fallback's are not.
    The aggregates of the job's `levels` follow those of the source.

    The work is done where the job's `runner` says; a night without a model is soon done, always in this process.

    Raises:
        RunnerError: the cluster did not do the work.
    """
    panel = load_panel(panel_file)
    tonight = Tonight(places.job, cutoff, fitted.version, run_id, created_at, fitted.failure or "no model")
    forecaster, calibration, summary, choices = None, None, "", list[str]()
    if fitted.folder is None:
        instead = bare_fallback(panel, forecast)
    else:
        forecaster = Forecaster.load(fitted.folder)
        summary, choices = forecaster.summary, [*forecaster.choices, *_changed_bounds(forecaster, panel, forecast)]
        instead = forecaster.fallback(panel, forecast)
        if settings.enabled:
            calibration = tonights_calibration(places, cutoff, panel, instead)
            choices += [calibration.description] if calibration.description else []
    if runner.on_cluster and fitted.lies is not None:
        parts = parts_from_cluster(places, runner, panel, instead, calibration, fitted.lies, tonight, panel_file.parent)
    else:
        parts = _parts_here(panel, runner.shard_series, instead, forecaster, calibration, tonight)
    reasons, by_model = Counter[str](), list[BoolArray]()
    with closing(parts):
        rows: Iterator[pa.Table] = _counted(parts, reasons, by_model, len(panel))
        if forecaster is not None and levels.reconciled:
            rows, word = reconciled(rows, panel, levels, forecaster.predict, forecast, instead, tonight)
            choices.append(word)
        rows = with_aggregates(rows, panel, levels, instead, seed, tonight)
        file = save_night(rows, panel_file.with_name("forecast.parquet"))
    kept = None
    if calibration is not None:
        kept = panel_file.with_name("calibration.npz")
        kept.write_bytes(packed(calibration.of(np.concatenate(by_model)).arrays()))
    return Predicted(file, len(panel), dict(reasons.most_common()), summary, choices, kept)


def _parts_here(
    panel: Panel,
    shard_series: int,
    instead: Fallback,
    forecaster: Forecaster | None,
    calibration: Calibration | None,
    tonight: Tonight,
) -> Generator[pa.Table]:
    """The rows of every series, forecast by this process."""
    for series in shards(len(panel), shard_series):
        of_shard = None if calibration is None else calibration.of(series)
        yield from shard_parts(panel.part(series), instead.of(series), forecaster, of_shard, tonight)


def _counted(
    parts: Generator[pa.Table], reasons: Counter[str], by_model: list[BoolArray], series: int
) -> Generator[pa.Table]:
    """The parts as they come, while it is noted which series the model forecast, and why it did not others."""
    done, tell = 0, show_progress("forecasting")
    for part in parts:
        is_first = pc.equal(part["step"], 1)
        first_steps = part["reason"].filter(is_first)
        by_model.append(pc.equal(part["source"].filter(is_first), "model").to_numpy())
        done += len(first_steps)
        tell(done / series, f"{done:,} of {series:,} series")
        reasons.update(
            {each["values"]: each["counts"] for each in pc.value_counts(first_steps.drop_null()).to_pylist()}
        )
        yield part


def _changed_bounds(forecaster: Forecaster, panel: Panel, forecast: ForecastSettings) -> list[str]:
    """Bounds that hold tonight instead of those that the network was trained under, in words."""
    then, now = forecaster.bounds(panel, forecaster.forecast), forecaster.bounds(panel, forecast)
    return [
        f"{name} {'none' if new is None else f'{new:g}'}, as the job says now; "
        f"{'none' if old is None else f'{old:g}'} when the network was trained"
        for name, old, new in zip(("lower_bound", "upper_bound"), then, now, strict=True)
        if old != new
    ]
