"""What past nights would have lost with a network that is there only now: something to compare the first nights with.

The network is asked from every past cutoff over arrays that are laid out once; what it sees of a window ends at the
window's own origin.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from models.arrays import BoolArray, FloatArray, IntArray
from models.baselines.seasonal_naive import RECENT_SEASONS
from models.calibration.calibration import Calibration
from models.calibration.evidence import EvaluationPoints
from models.evaluation.night_scores import MOST, EvaluationLoss, distances, scales_at
from models.evaluation.special_days import KindsOfDays, UnlikeDays
from models.metrics.stability import changes
from models.network.forecaster import Forecaster
from models.panel.panel import Panel
from models.settings.forecast import ForecastSettings

# Forecasts of one series from one cutoff, at most; of more series, an even sample is enough to tell what is usual.
MOST_FORECASTS = 100_000


@dataclass(frozen=True)
class HindcastEvaluation:
    """One evaluation as it would have been.

    Attributes:
        back: Steps from its newest actual to the panel's cutoff.
        in_sample: Whether the network has learnt from its actuals.
        losses: Segment to loss.
        covered: How its actuals lay in their forecasts; None where they were learnt.
    """

    back: int
    in_sample: bool
    losses: dict[str, EvaluationLoss]
    covered: EvaluationPoints | None = None


def hindcast(
    forecaster: Forecaster,
    panel: Panel,
    forecast: ForecastSettings,
    segments: Mapping[str, BoolArray],
    evaluations: int,
    stride: int,
) -> list[HindcastEvaluation]:
    """Forecast from past cutoffs, and judge each evaluation by the steps that came true since the one before.

    Args:
        forecaster: Trained at the panel's cutoff.
        panel: The whole history.
        forecast: Bounds.
        segments: Name to a mask of shape (series,).
        evaluations: How many, the newest one at the panel's cutoff; fewer where half of the longest history would not
            be left before them.
        stride: Steps from one evaluation to the next.

    Returns:
        Oldest first; none where the history is too short.
    """
    nights_ahead = -(-panel.horizon // stride)
    evaluations = min(evaluations, int(panel.lengths.max(initial=0)) // 2 // stride - nights_ahead)
    if evaluations < 1:
        return []
    # The newest night has no actual yet, but it has revised the one before.
    cutoffs = stride * np.arange(evaluations + nights_ahead + 1)
    # What is held out of training, see `choose_windows`.
    held_out = min(max(panel.horizon, 2 * max(panel.season_lengths)), int(np.median(panel.lengths)) // 6)
    every = -(-len(panel) * len(cutoffs) // MOST_FORECASTS)
    chosen = np.arange(len(panel)) % every == 0
    bounds = forecaster.bounds(panel, forecast)
    masks, kinds = {name: mask[chosen] for name, mask in segments.items()}, KindsOfDays.of(panel)
    panel = panel.without(set(panel.series_ids[~chosen].tolist()))
    sums = np.zeros((evaluations, len(panel), len(EvaluationSums)))
    revised = np.zeros((evaluations, len(panel), 2))
    later: tuple[FloatArray, FloatArray] | None = None
    levels = np.array(forecaster.plan.quantile_levels)
    raw = Calibration.none(levels, panel.horizon, panel.series_ids, bounds)
    covered = [
        EvaluationPoints(panel.cutoff_index - stride * number, levels, panel.horizon, panel.series_ids)
        for number in range(evaluations)
        if stride * number < held_out
    ]
    for back, points, actual, quantiles, unit in _points(forecaster, panel, cutoffs, bounds, UnlikeDays(panel, kinds)):
        evaluation = (back - 1 - np.arange(panel.horizon)) // stride
        for number in np.unique(evaluation[(evaluation >= 0) & (evaluation < evaluations)]):
            sums[number] += points[:, evaluation == number].sum(axis=1)
            if number < len(covered):
                series, step = np.nonzero((points[..., 0] > 0) & (evaluation == number))
                covered[number].take(series, step, actual[series, step], quantiles[series, step], raw)
        # What the evaluation one night later made of the same days.
        median = quantiles[..., int(np.flatnonzero(levels == 0.5)[0])]
        if later is not None and back // stride <= evaluations:
            change = np.minimum(changes(later[0], median, stride, later[1]), MOST)
            revised[back // stride - 1] = np.stack([np.nansum(change, 1), (~np.isnan(change)).sum(1)], axis=1)
        later = median, unit
    return [
        HindcastEvaluation(
            back=int(stride * number),
            in_sample=number >= len(covered),
            losses={
                name: _loss(sums[number, mask].sum(axis=0), revised[number, mask].sum(axis=0), kinds.text)
                for name, mask in masks.items()
            },
            covered=covered[number] if number < len(covered) else None,
        )
        for number in reversed(range(evaluations))
    ]


EvaluationSums = (
    *("points", "loss", "with baseline", "baseline loss", "inside", "bias"),
    *("unlike", "unlike loss", "unlike with baseline", "unlike baseline loss"),
)


def _points(
    forecaster: Forecaster,
    panel: Panel,
    cutoffs: IntArray,
    bounds: tuple[float | None, float | None],
    special_days: UnlikeDays,
) -> Iterator[tuple[int, FloatArray, FloatArray, FloatArray, FloatArray]]:
    """Steps back to each cutoff; `EvaluationSums` of each of its points, actuals, quantiles, and the unit of each
    series.

    Shapes (series, horizon, sum), (series, horizon), (series, horizon, level) and (series,).
    """
    season, levels = panel.season_lengths[0], np.array(forecaster.plan.quantile_levels)
    scales = scales_at(panel, season, (panel.cutoff_index - cutoffs).tolist())
    size = np.array([np.nanmean(np.abs(row)) if (~np.isnan(row)).any() else 1.0 for row in panel.tail(200)])
    near = panel.newest(max(member.memory for member in forecaster.members) + int(cutoffs[-1]))
    flat = forecaster.flatten(near)
    series, step = np.arange(len(panel))[:, None], np.arange(1, panel.horizon + 1)
    for scale, back in zip(scales, cutoffs.tolist(), strict=True):
        able = np.flatnonzero(near.lengths - back > 2 * season)
        quantiles = np.full((len(panel), panel.horizon, len(levels)), np.nan)
        if len(able):
            quantiles[able] = forecaster.quantiles_at(near, flat, able, near.offsets[1:][able] - 1 - back, bounds)
        actual = np.full((len(panel), panel.horizon), np.nan)
        actual[:, :back] = near.tail(back)[:, : panel.horizon]
        unit = np.where(np.isnan(scale) | (scale <= 0), np.where(size > 0, size, 1.0), scale)
        unlike = special_days.at(series, panel.cutoff_index - back, step)
        yield (
            back,
            _judged(actual, quantiles, levels, _naive(near, back, season), unit, unlike),
            actual,
            quantiles,
            unit,
        )


def _judged(
    actual: FloatArray,
    quantiles: FloatArray,
    levels: FloatArray,
    naive: FloatArray,
    unit: FloatArray,
    unlike: BoolArray,
) -> FloatArray:
    middle = quantiles[..., int(np.flatnonzero(levels == 0.5)[0])]
    realised = ~np.isnan(actual) & ~np.isnan(middle)
    loss, baseline, bias = distances(actual, quantiles, middle, naive, levels, unit[:, None])
    inside = (quantiles[..., 0] <= actual) & (actual <= quantiles[..., -1])
    with_baseline = ~np.isnan(baseline)
    losses = np.ones(actual.shape), loss, with_baseline, np.nan_to_num(baseline)
    found = np.stack([*losses, inside, bias, *(np.where(unlike, each, 0.0) for each in losses)], axis=-1)
    return np.where(realised[..., None], found, 0.0)


def _naive(panel: Panel, back: int, season: int) -> FloatArray:
    """The seasonal naive from a past cutoff, NaN where a place in the season was not observed for long."""
    step = np.arange(1, panel.horizon + 1)
    seen = panel.tail(back + season * RECENT_SEASONS)[:, : season * RECENT_SEASONS]
    naive = np.full((len(panel), panel.horizon), np.nan)
    for cycle in range(RECENT_SEASONS):
        value = seen[:, season * (RECENT_SEASONS - 1 - cycle) + (step - 1) % season]
        naive = np.where(np.isnan(naive), value, naive)
    return naive


def _loss(sums: FloatArray, revised: FloatArray, special_definition: str | None) -> EvaluationLoss:
    n, loss, with_baseline, baseline, inside, bias, *of_special = sums.tolist()
    change, days = revised.tolist()
    instability = _share(change, days)
    if not n:
        return EvaluationLoss(
            float("nan"), float("nan"), float("nan"), float("nan"), 0, instability, special_definition
        )
    unlike, special_loss, special_with_baseline, special_baseline = of_special
    return EvaluationLoss(
        loss=loss / n,
        baseline_loss=_share(baseline, with_baseline),
        coverage=inside / n,
        bias=bias / n,
        n=int(n),
        instability=instability,
        special_definition=special_definition,
        special_n=None if special_definition is None else int(unlike),
        special_loss=_share(special_loss, unlike),
        special_baseline_loss=_share(special_baseline, special_with_baseline),
    )


def _share(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")
