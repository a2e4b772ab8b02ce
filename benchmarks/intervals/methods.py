"""Ways to move quantiles: this product's calibration, split conformal prediction, and adaptive conformal inference."""

from __future__ import annotations

import numpy as np

from benchmarks.intervals.simulation import BEFORE, HORIZON, LEVELS, NIGHTS, SimulatedJob
from models.arrays import FloatArray
from models.calibration.calibration import Calibration
from models.calibration.estimate import calibration_of
from models.calibration.evaluation_counts import EvaluationCounts
from models.calibration.evidence import Evidence
from models.settings.monitoring import CalibrationSettings

SETTINGS = CalibrationSettings()


def ours(job: SimulatedJob) -> FloatArray:
    """What the product publishes, shape (night, series, horizon, level); nights before the year are not calibrated."""
    series = job.raw.shape[1]
    ids = np.array([f"s{number:05d}" for number in range(series)])
    evidence, used, published = Evidence.empty(LEVELS, HORIZON), dict[int, Calibration](), job.raw.copy()
    one_group = np.zeros(series, np.int64)
    everyone = np.arange(series)
    for night in range(NIGHTS):
        used[night] = Calibration.identity(LEVELS, HORIZON, ids, job.bounds)
        if night >= BEFORE:
            used[night] = calibration_of(evidence, ids, one_group, job.bounds)
            published[night] = used[night].quantiles(job.raw[night])
        evaluation = EvaluationCounts(night, LEVELS, HORIZON, ids)
        for step in range(min(HORIZON, night)):
            origin = night - 1 - step
            steps = np.full(series, step)
            evaluation.add(everyone, steps, job.actual[night - 1], published[origin, :, step], used[origin])
        live = night > BEFORE
        lag = np.arange(1.0, HORIZON + 1) if live else None
        weight = 1.0 if live else SETTINGS.hindcast_weight
        if night:
            evidence = evidence.updated(evaluation, SETTINGS.half_life, SETTINGS.rate, lag, weight)
    return published


def split_conformal(job: SimulatedJob) -> FloatArray:
    """Quantiles moved by the quantiles of the errors of the nights before the year, at rank q (n + 1)."""
    errors, width = _errors(job)
    published = job.raw.copy()
    for step in range(HORIZON):
        past = errors[: BEFORE - step, :, step].reshape(-1, len(LEVELS))
        rank = np.clip(LEVELS * (1 + 1 / len(past)), 0, 1)
        moves = [np.quantile(past[:, place], each) for place, each in enumerate(rank)]
        published[BEFORE:, :, step] += width[BEFORE:, :, step, None] * np.array(moves)
    return np.asarray(np.clip(np.sort(published, axis=-1), *job.bounds))


def plain_aci(job: SimulatedJob, rate: float = 0.01, window: int = 60) -> FloatArray:
    """Adaptive conformal inference (Gibbs & Candès 2021).

    Quantiles move by quantiles of the errors of the newest 60 evaluations, at levels that move by 0.01 of each
    evaluation's miss.
    """
    errors, width = _errors(job)
    published = job.raw.copy()
    at = np.tile(LEVELS, (HORIZON, 1))
    for night in range(BEFORE, NIGHTS):
        for step in range(HORIZON):
            newest = night - 1 - step
            past = errors[max(0, newest + 1 - window) : newest + 1, :, step].reshape(-1, len(LEVELS))
            if newest >= BEFORE:
                below = job.actual[night - 1][:, None] <= published[newest, :, step]
                at[step] += rate * (LEVELS - below.mean(axis=0))
            moves = [np.quantile(past[:, place], each) for place, each in enumerate(np.clip(at[step], 0, 1))]
            moved = job.raw[night, :, step] + width[night, :, step, None] * np.array(moves)
            published[night, :, step] = np.clip(np.sort(moved, axis=-1), *job.bounds)
    return published


def _errors(job: SimulatedJob) -> tuple[FloatArray, FloatArray]:
    """Actuals minus quantiles in widths of the forecast, (night, series, horizon, level), and those widths."""
    width = np.maximum(job.raw[..., -1] - job.raw[..., 0], 1e-9)
    return (job.realised[..., None] - job.raw) / width[..., None], width
