"""Calibration of the job's quantiles: what tonight's are calibrated by, and what each evaluation adds to know."""

from __future__ import annotations

import io
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import numpy as np

from models.arrays import AnyArray
from models.baselines.fallback import Fallback
from models.calendar.grid import TimeGrid
from models.calibration.calibration import Calibration
from models.calibration.estimate import calibration_of
from models.calibration.evidence import EvaluationCounts, Evidence, group_of, groups_of
from models.evaluation.past_night import PastNight
from models.panel.panel import Panel, places_of
from models.settings.forecast import ForecastSettings
from models.settings.monitoring import CalibrationSettings
from sql.output import history, write
from tasks.step import step
from tasks.store.places import Places

Arrays = Mapping[str, AnyArray]
_IDS = "series_ids"


def tonights_calibration(places: Places, cutoff: datetime, panel: Panel, instead: Fallback) -> Calibration:
    """What tonight's quantiles are calibrated by: from what was known before this night, as when it ran first.

    Args:
        places: The job's places.
        cutoff: Tonight's; evaluations from it on are not looked at.
        panel: All series.
        instead: The panel's fallback, which knows levels, bounds, and which series are alike.
    """
    bounds = instead.lower_bound, instead.upper_bound
    stored = history.calibration_evidence(places.engine(), places.job, cutoff)
    if stored is None:
        return Calibration.identity(instead.quantile_levels, panel.horizon, panel.series_ids, bounds)
    evidence = Evidence.from_arrays(unpacked(stored)).for_levels(instead.quantile_levels, panel.horizon)
    return calibration_of(evidence, panel.series_ids, instead.group, bounds)


@step("keep what quantiles were calibrated by", retries=2, retry_delay_seconds=(2, 10))
def keep_calibration(places: Places, cutoff: datetime, applied: Path | None) -> None:
    """Keep what a night's quantiles were calibrated by, so that what they cover tells of the network's own."""
    if applied is not None:
        row = {"job": places.job, "cutoff": cutoff, "applied_calibration": applied.read_bytes()}
        write.upsert_calibration(places.engine(), row)


def keep_evidence(places: Places, cutoff: datetime, evidence: Evidence) -> None:
    """Keep what is known by the end of an evaluation; later nights calibrate by it."""
    row = {"job": places.job, "cutoff": cutoff, "coverage_evidence": packed(evidence.arrays())}
    write.upsert_calibration(places.engine(), row)


class Covered:
    """What one evaluation tells of the quantiles of past nights, taken night by night.

    Nights that kept no calibration or had other levels are left out, and so are series that did not come of the model.

    Args:
        places: The job's places.
        panel: Tonight's, aggregates among them.
        forecast: What the job asks for now.
        before: Grid position of the evaluation before.
    """

    def __init__(self, places: Places, panel: Panel, forecast: ForecastSettings, before: int) -> None:
        self._places, self._panel, self._before = places, panel, before
        self._grid = TimeGrid(panel.frequency, panel.time_zone)
        levels = np.array(sorted({*forecast.quantile_levels, 0.5}))
        self._evaluation = EvaluationCounts(panel.cutoff_index, levels, forecast.horizon, panel.series_ids)
        # Nights mostly have the same series, and to look each up takes long.
        self._ids, self._place = np.zeros(0, "<U1"), np.full(len(panel), -1)

    def take(self, night: PastNight, after_index: int) -> None:
        """Count the points of one night that came true after a grid position; those up to it counted before."""
        cutoff = self._grid.instant(night.cutoff_index)
        stored = history.applied_calibration(self._places.engine(), self._places.job, cutoff)
        if stored is None or not np.array_equal(night.quantile_levels, self._evaluation.quantile_levels):
            return
        by = Calibration.from_arrays(unpacked(stored))
        if not np.array_equal(by.quantile_levels, self._evaluation.quantile_levels):
            return
        if not np.array_equal(by.series_ids, self._ids):
            self._ids, self._place = by.series_ids, places_of(self._panel.series_ids, by.series_ids)
        steps = night.cutoff_index + 1 + np.arange(night.actual.shape[1])
        series, at = np.nonzero(night.realised & (steps > after_index) & (self._place >= 0)[:, None])
        quantiles = night.quantiles[series, at]
        self._evaluation.add(series, at, night.actual[series, at], quantiles, by, self._place[series])

    def keep(self, cutoff: datetime, settings: CalibrationSettings) -> None:
        """Add the evaluation to what is known; where no point of it counts, nothing changes."""
        evaluation = self._evaluation
        if not evaluation.counts.any():
            return
        stored = history.calibration_evidence(self._places.engine(), self._places.job, cutoff)
        levels, horizon = evaluation.quantile_levels, evaluation.horizon
        known = Evidence.empty(levels, horizon) if stored is None else Evidence.from_arrays(unpacked(stored))
        step, group = np.arange(horizon), group_of(np.arange(horizon), horizon)
        ahead = np.bincount(group, step + 1.0, minlength=groups_of(horizon)) / np.bincount(group)
        lag = ahead / max(1, self._panel.cutoff_index - self._before)
        known = known.for_levels(levels, horizon).updated(evaluation, settings.half_life, settings.rate, lag)
        keep_evidence(self._places, cutoff, known)


def packed(arrays: Arrays) -> bytes:
    """Arrays by name as bytes, the same for the same arrays; without pickle."""
    file = io.BytesIO()
    ids = np.frombuffer("\0".join(arrays[_IDS].tolist()).encode(), np.uint8)
    np.savez_compressed(file, allow_pickle=False, **{**arrays, _IDS: ids})
    return file.getvalue()


def unpacked(stored: bytes) -> dict[str, AnyArray]:
    """What `packed` was given."""
    with np.load(io.BytesIO(stored), allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    ids = arrays[_IDS].tobytes().decode()
    return arrays | {_IDS: np.array(ids.split("\0") if ids else [], dtype=str)}
