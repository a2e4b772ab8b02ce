"""Hindcasts: what past nights would have lost with a network that exists only now.

The first live nights are compared with them. The network forecasts from every past cutoff over arrays that are laid out
once; what it sees of a window ends at the window's own origin.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from models.arrays import BoolArray, FloatArray, IntArray
from models.baselines.seasonal_naive import RECENT_SEASONS
from models.calibration.calibration import Calibration
from models.calibration.evaluation_counts import EvaluationCounts
from models.evaluation.evaluation_loss import EvaluationLoss, share
from models.evaluation.past_night import PastNight
from models.evaluation.point_errors import ERROR_CAP, ErrorSums, PointErrors
from models.evaluation.scales import scales_at, usable_scale
from models.evaluation.special_days import SpecialDayCriteria, SpecialDays
from models.metrics.stability import changes
from models.network.forecaster import Forecaster
from models.panel.panel import Panel
from models.settings.forecast import ForecastSettings

Bounds = tuple[float | None, float | None]

# The most forecasts of one series from one cutoff that are made. Where there would be more, an even sample of the
# series is enough to tell what is usual.
MOST_FORECASTS = 100_000
# A series without a scale is measured by the mean size of so many of its newest values.
RECENT_STEPS = 200


@dataclass(frozen=True)
class HindcastEvaluation:
    """One evaluation as it would have been.

    Attributes:
        steps_back: Steps from its newest actual to the panel's cutoff.
        in_sample: Whether the network was trained on its actuals.
        losses: Segment to loss.
        calibration_counts: Where its actuals lay in their forecasts; None where the network was trained on them.
    """

    steps_back: int
    in_sample: bool
    losses: dict[str, EvaluationLoss]
    calibration_counts: EvaluationCounts | None = None


def hindcast(
    forecaster: Forecaster,
    panel: Panel,
    forecast: ForecastSettings,
    segments: Mapping[str, BoolArray],
    evaluations: int,
    stride: int,
) -> list[HindcastEvaluation]:
    """Forecast from past cutoffs, and evaluate each of those nights on the actuals that arrived since the one before.

    Args:
        forecaster: Trained at the panel's cutoff.
        panel: The whole history.
        forecast: The job's, for its bounds.
        segments: Name to a mask of shape (series,).
        evaluations: How many evaluations to make, the newest one at the panel's cutoff. There are fewer where half of
            the longest history would not be left before them.
        stride: Steps from one evaluation to the next.

    Returns:
        Oldest first; empty where the history is too short.
    """
    nights_ahead = -(-panel.horizon // stride)
    evaluations = min(evaluations, int(panel.lengths.max(initial=0)) // 2 // stride - nights_ahead)
    if evaluations < 1:
        return []
    # The newest night has no actual yet, but the instability of the newest evaluation needs its forecasts.
    cutoffs = panel.cutoff_index - stride * np.arange(evaluations + nights_ahead + 1)
    every = -(-len(panel) * len(cutoffs) // MOST_FORECASTS)
    sampled = np.arange(len(panel)) % every == 0
    sample = panel.without(set(panel.series_ids[~sampled].tolist()))
    bounds = forecaster.bounds(panel, forecast)
    levels = np.array(forecaster.plan.quantile_levels)
    tally = _Tally(
        sample,
        evaluations,
        stride,
        held_out=min(evaluations, -(-_held_out_steps(panel) // stride)),
        criteria=SpecialDayCriteria.choose(panel),
        uncalibrated=Calibration.identity(levels, panel.horizon, sample.series_ids, bounds),
    )
    for night, scale in _past_nights(forecaster, sample, cutoffs, bounds):
        tally.add(night, scale)
    masks = {name: mask[sampled] for name, mask in segments.items()}
    return [tally.evaluation(number, masks) for number in reversed(range(evaluations))]


def _held_out_steps(panel: Panel) -> int:
    """How many of the newest steps training holds out, see `choose_windows`."""
    return min(max(panel.horizon, 2 * max(panel.season_lengths)), int(np.median(panel.lengths)) // 6)


class _Tally:
    """The evaluations of a hindcast, added up night by night; number 0 is the newest.

    Args:
        panel: The series that are forecast.
        evaluations: How many.
        stride: Steps from one evaluation to the next.
        held_out: How many of the newest evaluations are on actuals that the network was not trained on.
        criteria: What makes a day special.
        uncalibrated: Leaves forecasts of these series as they are.
    """

    def __init__(
        self,
        panel: Panel,
        evaluations: int,
        stride: int,
        *,
        held_out: int,
        criteria: SpecialDayCriteria,
        uncalibrated: Calibration,
    ) -> None:
        self._panel, self._evaluations, self._stride = panel, evaluations, stride
        self._special_days = SpecialDays(panel, criteria)
        self._sums = ErrorSums.zeros(evaluations, len(panel))
        self._change, self._changes = (np.zeros((evaluations, len(panel))) for _ in range(2))
        self._uncalibrated = uncalibrated
        self._calibration_counts = [
            EvaluationCounts(
                panel.cutoff_index - stride * number, uncalibrated.quantile_levels, panel.horizon, panel.series_ids
            )
            for number in range(held_out)
        ]
        self._later: tuple[PastNight, FloatArray] | None = None

    def add(self, night: PastNight, scale: FloatArray) -> None:
        """Add a night, one stride older than the one before; `scale` is of shape (series,)."""
        errors = PointErrors.of(night, scale, self._special_days)
        steps_back = self._panel.cutoff_index - night.cutoff_index
        # The evaluation on whose day the actual of each point arrived.
        number = (steps_back - errors.step) // self._stride
        counted = number < self._evaluations
        errors, number = errors.where(counted), number[counted]
        self._sums.add(errors, number * len(self._panel) + errors.series)
        for evaluation, points in enumerate(self._calibration_counts):
            chosen = number == evaluation
            if chosen.any():
                self._add_calibration(points, night, errors.where(chosen))
        self._add_change(night, scale, steps_back // self._stride - 1)

    def evaluation(self, number: int, masks: Mapping[str, BoolArray]) -> HindcastEvaluation:
        """One evaluation; `masks` are segments of shape (series,) by name."""
        in_sample = number >= len(self._calibration_counts)
        losses = {}
        for name, mask in masks.items():
            change, changes = self._change[number, mask].sum(), self._changes[number, mask].sum()
            sums = self._sums.of((number, mask))
            losses[name] = EvaluationLoss.of(sums, self._special_days.definition, instability=share(change, changes))
        points = None if in_sample else self._calibration_counts[number]
        return HindcastEvaluation(int(self._stride * number), in_sample, losses, points)

    def _add_calibration(self, points: EvaluationCounts, night: PastNight, errors: PointErrors) -> None:
        cell = series, position = errors.series, errors.step - 1
        points.add(series, position, night.actual[cell], night.quantiles[cell], self._uncalibrated)

    def _add_change(self, night: PastNight, scale: FloatArray, number: int) -> None:
        """Add how far the night one stride later, that of an evaluation, moved the forecasts of this one."""
        if self._later is not None and number < self._evaluations:
            later, its_scale = self._later
            change = np.minimum(changes(later.median, night.median, self._stride, its_scale), ERROR_CAP)
            self._change[number] = np.nansum(change, axis=1)
            self._changes[number] = (~np.isnan(change)).sum(axis=1)
        self._later = night, scale


def _past_nights(
    forecaster: Forecaster, panel: Panel, cutoffs: IntArray, bounds: Bounds
) -> Iterator[tuple[PastNight, FloatArray]]:
    """What the network forecasts from each cutoff, newest first, and the scale of each series then, shape (series,)."""
    season, horizon = panel.season_lengths[0], panel.horizon
    levels = np.array(forecaster.plan.quantile_levels)
    middle = int(np.flatnonzero(levels == 0.5)[0])
    newest_values = panel.tail(RECENT_STEPS).astype(np.float64)
    newest = panel.newest(forecaster.look_back + panel.cutoff_index - int(cutoffs[-1]))
    flat = forecaster.flatten(newest)
    for cutoff, scale in zip(cutoffs.tolist(), scales_at(panel, season, cutoffs), strict=True):
        steps_back = panel.cutoff_index - cutoff
        able = np.flatnonzero(newest.lengths - steps_back > 2 * season)
        quantiles = np.full((len(panel), horizon, len(levels)), np.nan)
        if len(able):
            origin = newest.offsets[1:][able] - 1 - steps_back
            quantiles[able] = forecaster.quantiles_at(newest, flat, able, origin, bounds)
        actual, arrived = np.full((len(panel), horizon), np.nan), min(steps_back, horizon)
        actual[:, :arrived] = newest.tail(arrived, skip=steps_back - arrived)
        night = PastNight(
            cutoff_index=cutoff,
            quantile_levels=levels,
            quantiles=quantiles,
            median=quantiles[..., middle],
            baseline=_seasonal_naive(newest, steps_back, season),
            actual=actual,
        )
        yield night, usable_scale(scale, newest_values)


def _seasonal_naive(panel: Panel, steps_back: int, season: int) -> FloatArray:
    """The seasonal naive from a past cutoff, shape (series, horizon).

    NaN where a place in the season was not observed in the `RECENT_SEASONS` before the cutoff.
    """
    step = np.arange(1, panel.horizon + 1)
    seen = panel.tail(season * RECENT_SEASONS, skip=steps_back)
    naive = np.full((len(panel), panel.horizon), np.nan)
    for cycle in range(RECENT_SEASONS):
        value = seen[:, season * (RECENT_SEASONS - 1 - cycle) + (step - 1) % season]
        naive = np.where(np.isnan(naive), value, naive)
    return naive
