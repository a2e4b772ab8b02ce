"""The accuracy part of the page: the errors of one past forecast, beside those of the seasonal naive."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from tasks.report import plots
from tasks.report.record import NightRecord, Row

# For each metric of the table `score`: its label, and whether it is shown in percent.
METRICS = {
    "mae": ("Mean absolute error (MAE)", False),
    "rmse": ("Root mean squared error (RMSE)", False),
    "mase": ("Scaled error (MASE)", False),
    "smape": ("Symmetric percentage error (sMAPE)", True),
    "wape": ("Weighted percentage error (WAPE)", True),
    "pinball_loss": ("Pinball loss", False),
    "scaled_quantile_loss": ("Scaled quantile loss", False),
    "weighted_quantile_loss": ("Weighted quantile loss (wQL)", False),
    "bias": ("Bias, median minus actual", True),
    "instability": ("Instability: change since the night before, in seasonal errors", False),
}
COVERAGE = "coverage_"
# The error that stands first, beside that of the seasonal naive: the first of these that was scored.
HEADLINES = ("mae", "mase")
# The plot by step shows one error: the first of these that was scored.
STEP_METRICS = ("mae", "mase", "pinball_loss")


def accuracy(record: NightRecord) -> Row | None:
    """The scores of the forecast of which most steps could be scored, or None if there is no score.

    Last night's forecast has only one step that can be scored. The newest forecast with all its steps says more.
    """
    cutoff = best_known_cutoff(record.scores)
    if cutoff is None:
        return None
    rows = [row for row in record.scores if row["cutoff"] == cutoff and row["value"] is not None]
    every_step = [row for row in rows if row["segment"] == "all" and row["step"] > 0]
    metric = next((name for name in STEP_METRICS if any(row["metric"] == name for row in every_step)), None)
    by_step = sorted((row for row in every_step if row["metric"] == metric), key=lambda row: int(row["step"]))
    return {
        "cutoff": record.local(cutoff),
        "steps": len(by_step),
        "overall": (overall := _scores([row for row in rows if row["segment"] == "all" and row["step"] == 0])),
        "headline": headline(overall),
        "by_segment": _scores([row for row in rows if row["segment"] != "all" and row["step"] == 0]),
        "metric": METRICS[metric][0] if metric else "",
        "by_step": by_step,
        "calibration": _calibration_plot([row for row in rows if row["segment"] == "all" and row["step"] == 0]),
        "plot": plots.error_by_step(
            [row["step"] for row in by_step],
            [row["value"] for row in by_step],
            [row["baseline_value"] for row in by_step],
            "error",
        )
        if by_step
        else "",
    }


def headline(scores: Sequence[Row]) -> Row | None:
    """The error that stands first, of scores over all steps; None where none of them was scored."""
    known = {row["metric"]: row for row in scores if row["value"] is not None}
    return next((known[metric] for metric in HEADLINES if metric in known), None)


def best_known_cutoff(scores: Sequence[Mapping[str, Any]]) -> datetime | None:
    """The cutoff with the most scored steps, the newest if there are several; None if nothing is scored."""
    steps: dict[datetime, set[int]] = {}
    for row in scores:
        if row["segment"] == "all" and row["value"] is not None:
            steps.setdefault(row["cutoff"], set()).add(row["step"])
    return max(steps, key=lambda moment: (len(steps[moment]), moment), default=None)


def gain(loss: float | None, baseline: float | None) -> float | None:
    """How much lower the loss is than the baseline's, as a share; negative if it is higher.

    None if the loss is not known or the baseline's is zero.
    """
    return None if loss is None or not baseline else 1.0 - loss / baseline


def widest_interval(levels: Sequence[float]) -> float | None:
    """The nominal coverage of the widest central interval, or None if no two levels form one."""
    spans = [q - p for p in levels for q in levels if p < 0.5 and abs(p + q - 1.0) < 1e-9]
    return max(spans, default=None)


def _scores(rows: Sequence[Row]) -> list[Row]:
    """Rows for the tables: segment by segment, errors in the order of `METRICS`, then the intervals."""
    order = list(METRICS)

    def place(row: Row) -> tuple[str, int, str]:
        metric = row["metric"]
        return row["segment"], order.index(metric) if metric in order else len(order), metric

    return [_score(row) for row in sorted(rows, key=place)]


def _score(row: Row) -> Row:
    metric = row["metric"]
    share = is_share(metric)
    # Coverage, bias and instability are not errors: a lower one is no gain.
    comparable = metric not in ("bias", "instability") and not metric.startswith(COVERAGE)
    return row | {
        "label": label_of(metric),
        "share": share,
        "gain": gain(row["value"], row["baseline_value"]) if comparable else None,
    }


def is_share(metric: str) -> bool:
    """Whether a metric is shown in percent."""
    return metric.startswith(COVERAGE) or METRICS.get(metric, ("", False))[1]


def label_of(metric: str) -> str:
    """The label of a metric on a page.

    >>> label_of("mase"), label_of("coverage_90")
    ('Scaled error (MASE)', 'Actuals inside the 90 % interval')
    """
    if metric.startswith(COVERAGE):
        return f"Actuals inside the {metric.removeprefix(COVERAGE)} % interval"
    return METRICS[metric][0] if metric in METRICS else metric.replace("_", " ").capitalize()


def _calibration_plot(rows: Sequence[Row]) -> str:
    """The plot of observed against nominal coverage of each central interval; "" if there is none."""
    known = [row for row in rows if row["metric"].startswith(COVERAGE)]
    points = sorted((float(row["metric"].removeprefix(COVERAGE)) / 100, float(row["value"])) for row in known)
    return plots.calibration([nominal for nominal, _ in points], [observed for _, observed in points]) if points else ""
