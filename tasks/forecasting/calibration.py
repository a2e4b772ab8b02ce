"""Calibration of the job's quantiles: from what is stored, and what each evaluation adds to it."""

from __future__ import annotations

import io
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import numpy as np

from models.array_files import unpack_arrays
from models.arrays import AnyArray
from models.baselines.fallback import Fallback
from models.calibration.calibration import Calibration
from models.calibration.estimate import calibration_of
from models.calibration.evaluation_counts import EvaluationCounts, group_of, groups_of
from models.calibration.evidence import Evidence
from models.evaluation.past_night import PastNight
from models.panel.panel import Panel, places_of
from models.settings.forecast import ForecastSettings
from models.settings.monitoring import CalibrationSettings
from tasks.night.ledger import Ledger
from tasks.night.night import Night
from tasks.step import logger, step

Arrays = Mapping[str, AnyArray]
_IDS = "series_ids"


def calibration_for(ledger: Ledger, cutoff: datetime, panel: Panel, fallback: Fallback) -> Calibration:
    """The calibration of a night's quantiles, from what was known before it. A night that runs again gets the same one.

    Args:
        ledger: The job's ledger.
        cutoff: The night's cutoff. Evaluations from it on are left out.
        panel: All series.
        fallback: The panel's fallback, which has the levels, the bounds and the groups of similar series.
    """
    bounds = fallback.lower_bound, fallback.upper_bound
    stored = ledger.calibration_evidence(cutoff)
    arrays = _read(stored, "coverage_evidence", cutoff)
    if arrays is None:
        return Calibration.identity(fallback.quantile_levels, panel.horizon, panel.series_ids, bounds)
    evidence = Evidence.from_arrays(arrays).for_levels(fallback.quantile_levels, panel.horizon)
    return calibration_of(evidence, panel.series_ids, fallback.group, bounds)


@step("store the calibration", retries=2, retry_delay_seconds=(2, 10))
def keep_calibration(night: Night, calibration_file: Path | None) -> None:
    """Store the calibration that a night applied, so that its coverage can be traced back to the network's own."""
    if calibration_file is not None:
        row = {"job": night.job.name, "cutoff": night.cutoff, "applied_calibration": calibration_file.read_bytes()}
        night.ledger.upsert_calibration(row)


def keep_evidence(ledger: Ledger, cutoff: datetime, evidence: Evidence) -> None:
    """Store what is known of coverage after an evaluation. Later nights are calibrated from it."""
    ledger.upsert_calibration({"job": ledger.job, "cutoff": cutoff, "coverage_evidence": packed(evidence.arrays())})


class CoverageCount:
    """What one evaluation finds out about the coverage of past nights, counted night by night.

    Nights that stored no calibration or had other quantile levels are left out. So are series that the fallback
    forecast.

    Args:
        ledger: The job's ledger.
        panel: Tonight's panel, with the aggregates.
        forecast: The job's settings of the forecast.
        before: Grid position of the evaluation before.
    """

    def __init__(self, ledger: Ledger, panel: Panel, forecast: ForecastSettings, before: int) -> None:
        self._ledger, self._panel, self._before = ledger, panel, before
        levels = np.array(sorted({*forecast.quantile_levels, 0.5}))
        self._evaluation = EvaluationCounts(panel.cutoff_index, levels, forecast.horizon, panel.series_ids)
        # Most nights have the same series, and looking up each one takes long.
        self._ids, self._place = np.zeros(0, "<U1"), np.full(len(panel), -1)

    def add(self, night: PastNight, after_index: int) -> None:
        """Count the points of one night that were realised after a grid position; earlier ones were counted before."""
        cutoff = self._panel.grid.instant(night.cutoff_index)
        arrays = _read(self._ledger.applied_calibration(cutoff), "applied_calibration", cutoff)
        if arrays is None or not np.array_equal(night.quantile_levels, self._evaluation.quantile_levels):
            return
        calibration = Calibration.from_arrays(arrays)
        if not np.array_equal(calibration.quantile_levels, self._evaluation.quantile_levels):
            return
        if not np.array_equal(calibration.series_ids, self._ids):
            self._ids = calibration.series_ids
            self._place = places_of(self._panel.series_ids, calibration.series_ids)
        steps = night.cutoff_index + 1 + np.arange(night.actual.shape[1])
        series, at = np.nonzero(night.realised & (steps > after_index) & (self._place >= 0)[:, None])
        quantiles = night.quantiles[series, at]
        self._evaluation.add(series, at, night.actual[series, at], quantiles, calibration, self._place[series])

    def store(self, cutoff: datetime, settings: CalibrationSettings) -> None:
        """Add the counted points to what is known of coverage, and store it; without points nothing changes."""
        evaluation = self._evaluation
        if not evaluation.counts.any():
            return
        arrays = _read(self._ledger.calibration_evidence(cutoff), "coverage_evidence", cutoff)
        levels, horizon = evaluation.quantile_levels, evaluation.horizon
        known = Evidence.empty(levels, horizon) if arrays is None else Evidence.from_arrays(arrays)
        step, group = np.arange(horizon), group_of(np.arange(horizon), horizon)
        ahead = np.bincount(group, step + 1.0, minlength=groups_of(horizon)) / np.bincount(group)
        lag = ahead / max(1, self._panel.cutoff_index - self._before)
        known = known.for_levels(levels, horizon).updated(evaluation, settings.half_life, settings.rate, lag)
        keep_evidence(self._ledger, cutoff, known)


def packed(arrays: Arrays) -> bytes:
    """Arrays by name as bytes, without pickle. Equal arrays give equal bytes."""
    file = io.BytesIO()
    ids = np.frombuffer("\0".join(arrays[_IDS].tolist()).encode(), np.uint8)
    np.savez_compressed(file, allow_pickle=False, **{**arrays, _IDS: ids})
    return file.getvalue()


def _read(stored: bytes | None, column: str, cutoff: datetime) -> dict[str, AnyArray] | None:
    """What is stored in a row of `calibration`; None where there is nothing, or where it cannot be read."""
    if stored is None:
        return None
    try:
        return unpacked(stored)
    except (ValueError, KeyError) as error:
        # Without it the quantiles of the network stay as they are, and coverage is learnt anew.
        logger().warning("calibration.%s of %s is left out: %s", column, f"{cutoff:%Y-%m-%d %H:%M}", error)
        return None


def unpacked(stored: bytes) -> dict[str, AnyArray]:
    """The arrays that were given to `packed`.

    Raises:
        ValueError: it holds something else.
        KeyError: it has no series ids.
    """
    arrays = unpack_arrays(stored, "what is stored")
    ids = arrays[_IDS].tobytes().decode()
    return arrays | {_IDS: np.array(ids.split("\0") if ids else [], dtype=str)}
