"""What forecasts from past cutoffs were worth: metrics by step and segment, and differences with their uncertainty."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from models.arrays import BoolArray, FloatArray, IntArray, StringArray
from models.evaluation.scales import scales_at
from models.metrics.evaluate import evaluate_segments
from models.metrics.mean_losses import mean_losses
from models.metrics.paired_difference import paired_difference
from models.metrics.statistics import as_quantiles
from models.panel.panel import Panel

NETWORK, NAIVE = "model", "seasonal naive"
# What differences are told of: the loss that is watched every night, and the error of the median.
COMPARED = ("scaled_quantile_loss", "mase")


@dataclass(frozen=True)
class Origin:
    """What was forecast from one cutoff.

    Attributes:
        cutoff_index: Grid position of the cutoff.
        series_ids: Shape (series,), those that had begun.
        quantiles: Under "model" and the name of each challenger its quantiles, shape (series, horizon, level).
        baseline: Shape (series, horizon), the seasonal naive.
        reason: As `quantiles`, why the fallback stood in for a series, "" where it did not; shape (series,).
        segments: Name to a mask of shape (series,), as known at the cutoff; `all` among them.
    """

    cutoff_index: int
    series_ids: StringArray
    quantiles: Mapping[str, FloatArray]
    baseline: FloatArray
    reason: Mapping[str, StringArray]
    segments: Mapping[str, BoolArray]


@dataclass(frozen=True)
class Judged:
    """How good the network, the seasonal naive and the challengers were, over all series and cutoffs.

    Attributes:
        scores: One entry per step (0 for all) and metric: the network's `value`, the seasonal naive's
            `baseline_value`, and under `challengers` the value of each by its name.
        segments: The same of each other segment, over all steps.
        differences: One entry per segment, metric of `COMPARED` and other forecaster: see `Difference`.
        forecasts: Series times cutoffs: how many forecasts each of them made.
        by_fallback: Of the network ("model") and of each challenger: why the seasonal naive, with quantiles
            around it, stood in for it, and how many times.
    """

    scores: list[dict[str, Any]]
    segments: list[dict[str, Any]]
    differences: list[dict[str, Any]]
    forecasts: int
    by_fallback: dict[str, dict[str, int]]


def judge_origins(whole: Panel, origins: Sequence[Origin], quantile_levels: FloatArray) -> Judged:
    """Judge forecasts by what came after each cutoff as the whole history has it.

    Args:
        whole: All of the history.
        origins: Oldest first, all with the same forecasters.
        quantile_levels: Shape (level,), those of all forecasts.
    """
    # Series that begin between two cutoffs are in the later origin only.
    places = [np.searchsorted(whole.series_ids, origin.series_ids) for origin in origins]
    found = scales_at(whole, whole.season_lengths[0], [origin.cutoff_index for origin in origins])
    scale = np.concatenate([each[place] for each, place in zip(found, places, strict=True)])
    actual = np.concatenate([_actual(whole, origin)[place] for origin, place in zip(origins, places, strict=True)])
    baseline = np.concatenate([origin.baseline for origin in origins])
    quantiles = {name: np.concatenate([origin.quantiles[name] for origin in origins]) for name in origins[0].quantiles}
    segments = _together(origins)
    scores = {
        name: evaluate_segments(actual, each, quantile_levels, scale, segments, baseline)
        for name, each in quantiles.items()
    }
    others = [name for name in scores if name != NETWORK]
    rows = [
        {"segment": segment, **own._asdict(), "challengers": {name: scores[name][segment][i].value for name in others}}
        for segment in segments
        for i, own in enumerate(scores[NETWORK][segment])
    ]
    # All are compared on the same points: those that the naive can forecast too.
    common = np.where(np.isnan(baseline), np.nan, actual)
    pairs = {name: mean_losses(common, each, quantile_levels, scale) for name, each in quantiles.items()}
    pairs[NAIVE] = mean_losses(common, as_quantiles(baseline, quantile_levels), quantile_levels, scale)
    cutoff = np.repeat(np.arange(len(origins)), [len(origin.series_ids) for origin in origins])
    reasons = {name: [why for each in origins for why in each.reason[name].tolist() if why] for name in quantiles}
    return Judged(
        scores=[_without(row, "segment") for row in rows if row["segment"] == "all"],
        segments=[_without(row, "step") for row in rows if row["segment"] != "all" and row["step"] == 0],
        differences=_differences(pairs, segments, cutoff, np.concatenate(places)),
        forecasts=len(actual),
        by_fallback={name: dict(Counter(each)) for name, each in reasons.items()},
    )


def _actual(whole: Panel, origin: Origin) -> FloatArray:
    """What came after a cutoff, shape (series, horizon)."""
    horizon = origin.baseline.shape[1]
    return np.asarray(whole.tail(horizon, skip=whole.cutoff_index - origin.cutoff_index - horizon), np.float64)


def _together(origins: Sequence[Origin]) -> dict[str, BoolArray]:
    """The segments of all origins, over their series one after the other; a segment may lack in some of them."""
    names = dict.fromkeys(name for origin in origins for name in origin.segments)
    return {
        name: np.concatenate([origin.segments.get(name, np.zeros(len(origin.series_ids), bool)) for origin in origins])
        for name in names
    }


def _differences(
    pairs: Mapping[str, Mapping[str, FloatArray]],
    segments: Mapping[str, BoolArray],
    cutoff: IntArray,
    series: IntArray,
) -> list[dict[str, Any]]:
    return [
        {
            "segment": segment,
            "metric": metric,
            "against": other,
            **paired_difference(
                pairs[NETWORK][metric][mask], pairs[other][metric][mask], cutoff[mask], series[mask]
            )._asdict(),
        }
        for segment, mask in segments.items()
        for metric in COMPARED
        for other in pairs
        if other != NETWORK
    ]


def _without(row: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key != name}
