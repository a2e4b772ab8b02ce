"""Score a backtest: metrics by step and segment, and differences between forecasters with their uncertainty."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from models.arrays import BoolArray, FloatArray, IntArray, StringArray
from models.evaluation.scales import scales_at
from models.metrics.evaluate import Score, evaluate_segments
from models.metrics.mean_losses import mean_losses
from models.metrics.naive_quantiles import naive_quantiles
from models.metrics.paired_difference import paired_difference
from models.panel.panel import Panel

NETWORK, NAIVE = "model", "seasonal naive"
# The metrics whose differences are given: the loss that is watched every night, and the error of the median.
COMPARED = ("scaled_quantile_loss", "mase")


@dataclass(frozen=True)
class Origin:
    """The forecasts from one cutoff.

    Attributes:
        cutoff_index: Grid position of the cutoff.
        series_ids: Shape (series,), the series that had begun.
        quantiles: Forecaster to quantiles of shape (series, horizon, level): "model" for the network, and each
            challenger by its name.
        baseline: Shape (series, horizon), the seasonal naive.
        reason: Forecaster to the reason why the fallback stood in for each series, shape (series,); "" where it did
            not.
        segments: Name to a mask of shape (series,), as known at the cutoff; `all` among them.
    """

    cutoff_index: int
    series_ids: StringArray
    quantiles: Mapping[str, FloatArray]
    baseline: FloatArray
    reason: Mapping[str, StringArray]
    segments: Mapping[str, BoolArray]


@dataclass(frozen=True)
class BacktestResult:
    """How good the network, the seasonal naive and the challengers were, over all series and cutoffs.

    Attributes:
        scores: One entry for each step (0 for all together) and metric: the network's `value`, the seasonal naive's
            `baseline_value`, and under `challengers` the value of each challenger by its name.
        segments: The same entries for each segment other than `all`, over all steps together.
        differences: One entry for each segment, metric of `COMPARED` and other forecaster, see `Difference`.
        forecasts: How many series each of them forecast, summed over the cutoffs.
        by_fallback: For the network ("model") and each challenger: the reasons for which the fallback stood in for
            it, and how many times.
    """

    scores: list[dict[str, Any]]
    segments: list[dict[str, Any]]
    differences: list[dict[str, Any]]
    forecasts: int
    by_fallback: dict[str, dict[str, int]]


def score_origins(whole: Panel, origins: Sequence[Origin], quantile_levels: FloatArray) -> BacktestResult:
    """Score the forecasts of all cutoffs together, by the actuals of the whole history.

    Args:
        whole: The whole history.
        origins: Oldest first, all with the same forecasters.
        quantile_levels: Shape (level,), those of all forecasts.
    """
    # A series that begins between two cutoffs is in the later origin only.
    places = [np.searchsorted(whole.series_ids, origin.series_ids) for origin in origins]
    scales = scales_at(whole, whole.season_lengths[0], [origin.cutoff_index for origin in origins])
    scale = np.concatenate([each[place] for each, place in zip(scales, places, strict=True)])
    actual = np.concatenate([_actual(whole, origin)[place] for origin, place in zip(origins, places, strict=True)])
    baseline = np.concatenate([origin.baseline for origin in origins])
    naive = naive_quantiles(baseline, quantile_levels, scale, whole.season_lengths[0])
    quantiles = {name: np.concatenate([origin.quantiles[name] for origin in origins]) for name in origins[0].quantiles}
    segments = _joined_segments(origins)
    scores = {
        name: evaluate_segments(actual, each, quantile_levels, scale, segments, naive)
        for name, each in quantiles.items()
    }
    rows = _rows(scores)
    # All forecasters are compared on the same points: those that the naive can forecast too.
    common = np.where(np.isnan(baseline), np.nan, actual)
    losses = {name: mean_losses(common, each, quantile_levels, scale) for name, each in quantiles.items()}
    losses[NAIVE] = mean_losses(common, naive, quantile_levels, scale)
    cutoff = np.repeat(np.arange(len(origins)), [len(origin.series_ids) for origin in origins])
    return BacktestResult(
        scores=[_without(row, "segment") for row in rows if row["segment"] == "all"],
        segments=[_without(row, "step") for row in rows if row["segment"] != "all" and row["step"] == 0],
        differences=_differences(losses, segments, cutoff, np.concatenate(places)),
        forecasts=len(actual),
        by_fallback={name: _fallback_reasons(origins, name) for name in quantiles},
    )


def _rows(scores: Mapping[str, Mapping[str, Sequence[Score]]]) -> list[dict[str, Any]]:
    """The network's scores of every segment, each with the challengers' values; `scores` by forecaster and segment."""
    challengers = [name for name in scores if name != NETWORK]
    return [
        {
            "segment": segment,
            **score._asdict(),
            "challengers": {name: scores[name][segment][i].value for name in challengers},
        }
        for segment, of_segment in scores[NETWORK].items()
        for i, score in enumerate(of_segment)
    ]


def _fallback_reasons(origins: Sequence[Origin], forecaster: str) -> dict[str, int]:
    return dict(Counter(reason for origin in origins for reason in origin.reason[forecaster].tolist() if reason))


def _actual(whole: Panel, origin: Origin) -> FloatArray:
    """The actuals after a cutoff, shape (series, horizon)."""
    horizon = origin.baseline.shape[1]
    return np.asarray(whole.tail(horizon, skip=whole.cutoff_index - origin.cutoff_index - horizon), np.float64)


def _joined_segments(origins: Sequence[Origin]) -> dict[str, BoolArray]:
    """The segments of all origins, over the series of one after the other; an origin may lack a segment."""
    names = dict.fromkeys(name for origin in origins for name in origin.segments)
    return {
        name: np.concatenate([origin.segments.get(name, np.zeros(len(origin.series_ids), bool)) for origin in origins])
        for name in names
    }


def _differences(
    losses: Mapping[str, Mapping[str, FloatArray]],
    segments: Mapping[str, BoolArray],
    cutoff: IntArray,
    series: IntArray,
) -> list[dict[str, Any]]:
    """How the network differs from each other forecaster.

    Args:
        losses: By forecaster and metric, shape (forecast,).
        segments: Name to a mask of shape (forecast,).
        cutoff: Shape (forecast,), the number of its cutoff.
        series: Shape (forecast,), the position of its series.
    """
    return [
        {
            "segment": segment,
            "metric": metric,
            "against": other,
            **paired_difference(
                losses[NETWORK][metric][mask], losses[other][metric][mask], cutoff[mask], series[mask]
            )._asdict(),
        }
        for segment, mask in segments.items()
        for metric in COMPARED
        for other in losses
        if other != NETWORK
    ]


def _without(row: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key != name}
