"""Forecast every series, shard by shard, into the night's Parquet file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from models.arrays import BoolArray
from models.network.forecaster import Forecaster
from models.panel.panel import Panel
from models.panel.shards import shards
from models.settings.forecast import ForecastSettings
from tasks.forecasting.aggregates import with_aggregates
from tasks.forecasting.calibration import calibration_for, packed
from tasks.forecasting.cluster_shards import parts_from_cluster
from tasks.forecasting.reconcile import Reconciliation
from tasks.forecasting.shard import CommonColumns, Method, bare_fallback, row_parts
from tasks.night.night import Night
from tasks.prefect_ui import show_progress
from tasks.step import step
from tasks.store.night_file import save_night
from tasks.store.panel_file import load_panel
from tasks.training.night_model import NightModel


@dataclass(frozen=True)
class Predicted:
    """Tonight's forecast.

    Attributes:
        file: Parquet file of its rows (see `save_night`), one for each series and step, series by series.
        series: Number of series.
        fallback_reasons: For each reason of a fallback the number of series.
        summary: Table of the network's layers; "" without a network.
        choices: What was chosen for the network and why, and what calibration and reconciliation did.
        calibration_file: File of the calibration that was applied; None if there was none.
    """

    file: Path
    series: int
    fallback_reasons: dict[str, int]
    summary: str = ""
    choices: list[str] = field(default_factory=list)
    calibration_file: Path | None = None

    @property
    def fallback_series(self) -> int:
        """Number of series that the model did not forecast."""
        return sum(self.fallback_reasons.values())


@step("forecast every series")
def predict(night: Night, panel_file: Path, model: NightModel) -> Predicted:
    """Forecast with tonight's model. Series that it cannot forecast get the fallback, with the reason.

    The model's quantiles are calibrated, unless the job's `calibration` is off; those of the fallback are not. The
    aggregates follow the series. The work is done where the job's `runner` says; without a model there is little work,
    which is always done in this process.

    Raises:
        RunnerError: the cluster failed.
    """
    job, panel = night.job, load_panel(panel_file)
    columns = CommonColumns(job.name, night.cutoff, model.version, night.run_id, night.started_at)
    method = choose_method(night, panel, model)
    choices = _describe(method, panel, job.forecast)
    tally = _Tally(len(panel))
    with closing(_forecast_parts(night, panel, method, model, columns)) as parts:
        rows: Iterator[pa.Table] = tally.watch(parts)
        if method.forecaster is not None and job.aggregation_levels.reconciled:
            bounds = method.fallback.lower_bound, method.fallback.upper_bound
            reconciliation = Reconciliation(job.aggregation_levels, method.forecaster.predict, job.forecast, bounds)
            rows, sentence = reconciliation.of_rows(rows, panel, columns)
            choices.append(sentence)
        rows = with_aggregates(rows, panel, job, method.fallback, columns)
        file = save_night(rows, panel_file.with_name("forecast.parquet"))
    calibration_file = None
    if method.calibration is not None:
        calibration_file = panel_file.with_name("calibration.npz")
        calibration_file.write_bytes(packed(method.calibration.of(tally.by_model).arrays()))
    summary = "" if method.forecaster is None else method.forecaster.summary
    return Predicted(file, len(panel), dict(tally.reasons.most_common()), summary, choices, calibration_file)


def choose_method(night: Night, panel: Panel, model: NightModel) -> Method:
    """How tonight's series are forecast: by the model that was trained or loaded, or by the fallback alone."""
    forecast = night.job.forecast
    if model.folder is None:
        return Method(bare_fallback(panel, forecast), no_model=model.failure or "no model")
    forecaster = Forecaster.load(model.folder)
    fallback = forecaster.fallback(panel, forecast)
    if not night.job.calibration.enabled:
        return Method(fallback, forecaster)
    return Method(fallback, forecaster, calibration_for(night.ledger, night.cutoff, panel, fallback))


def _forecast_parts(
    night: Night, panel: Panel, method: Method, model: NightModel, columns: CommonColumns
) -> Generator[pa.Table]:
    """The rows of every series, from the cluster if the job has one, else from this process."""
    if night.job.runner.on_cluster and model.serving_version is not None:
        yield from parts_from_cluster(night, panel, method, model.serving_version, columns)
        return
    for series in shards(len(panel), night.job.runner.shard_series):
        shard = panel.part(series)
        yield from row_parts(method.of(series).forecast(shard), shard, columns)


class _Tally:
    """Counts, while the parts pass, which series the model forecast and why it did not forecast the others.

    Args:
        series: The number of all series.
    """

    def __init__(self, series: int) -> None:
        self._series, self._by_model = series, list[BoolArray]()
        self.reasons = Counter[str]()

    @property
    def by_model(self) -> BoolArray:
        """Shape (series,), whether the model forecast it; once all parts have passed."""
        return np.concatenate(self._by_model)

    def watch(self, parts: Generator[pa.Table]) -> Generator[pa.Table]:
        """The same parts, counted and shown as progress."""
        done, show = 0, show_progress("forecasting")
        for part in parts:
            is_first = pc.equal(part["step"], 1)
            reasons = part["reason"].filter(is_first)
            self._by_model.append(pc.equal(part["source"].filter(is_first), "model").to_numpy())
            done += len(reasons)
            show(done / self._series, f"{done:,} of {self._series:,} series")
            counts = pc.value_counts(reasons.drop_null()).to_pylist()
            self.reasons.update({each["values"]: each["counts"] for each in counts})
            yield part


def _describe(method: Method, panel: Panel, forecast: ForecastSettings) -> list[str]:
    """What was chosen for the network and why, and what calibration does."""
    if method.forecaster is None:
        return []
    choices = [*method.forecaster.choices, *_changed_bounds(method.forecaster, panel, forecast)]
    if method.calibration is not None and method.calibration.description:
        choices.append(method.calibration.description)
    return choices


def _changed_bounds(forecaster: Forecaster, panel: Panel, forecast: ForecastSettings) -> list[str]:
    """Sentences about the bounds that have changed since the network was trained."""
    then, now = forecaster.bounds(panel, forecaster.forecast), forecaster.bounds(panel, forecast)
    return [
        f"{name} {_bound(new)}, as the job says now; it was {_bound(old)} when the network was trained"
        for name, old, new in zip(("lower_bound", "upper_bound"), then, now, strict=True)
        if old != new
    ]


def _bound(value: float | None) -> str:
    return "none" if value is None else f"{value:g}"
