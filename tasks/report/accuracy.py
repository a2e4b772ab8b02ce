"""The accuracy part of the page: one well-known forecast beside the seasonal naive."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from tasks.report import plots
from tasks.report.night import Night, Row

# Metric as the score table names it: words, and whether it is a share to be shown in percent.
METRICS = {
    "mae": ("Mean absolute error (MAE)", False),
    "rmse": ("Root mean squared error (RMSE)", False),
    "mase": ("Scaled error (MASE)", False),
    "smape": ("Symmetric percentage error (sMAPE)", True),
    "wape": ("Weighted percentage error (WAPE)", True),
    "pinball_loss": ("Pinball loss", False),
    "scaled_quantile_loss": ("Scaled pinball loss", False),
    "weighted_quantile_loss": ("Weighted quantile loss (wQL)", False),
    "bias": ("Bias, median minus actual", True),
    "instability": ("Change since the night before, in seasonal errors", False),
}
COVERAGE = "coverage_"
# By step one error is enough; the first of these that was scored is shown.
STEP_METRICS = ("mae", "mase", "pinball_loss")


def accuracy(night: Night) -> Row | None:
    """Scores of the forecast that is known best: its whole horizon has passed, or most of it.

    A forecast of last night has one step to be scored by. The newest one with all its steps
    says more, so that one is shown.
    """
    cutoff = best_known_cutoff(night.scores)
    if cutoff is None:
        return None
    rows = [row for row in night.scores if row["cutoff"] == cutoff and row["value"] is not None]
    every_step = [row for row in rows if row["segment"] == "all" and row["step"] > 0]
    metric = next((name for name in STEP_METRICS if any(row["metric"] == name for row in every_step)), None)
    by_step = sorted((row for row in every_step if row["metric"] == metric), key=lambda row: int(row["step"]))
    return {
        "cutoff": night.local(cutoff),
        "steps": len(by_step),
        "overall": _scores([row for row in rows if row["segment"] == "all" and row["step"] == 0]),
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


def best_known_cutoff(scores: Sequence[Row]) -> datetime | None:
    """The cutoff with the most steps scored, the newest of those; None where nothing is scored."""
    steps: dict[datetime, set[int]] = {}
    for row in scores:
        if row["segment"] == "all" and row["value"] is not None:
            steps.setdefault(row["cutoff"], set()).add(row["step"])
    return max(steps, key=lambda moment: (len(steps[moment]), moment), default=None)


def gain(loss: float | None, baseline: float | None) -> float | None:
    """How much lower the loss is than the baseline's, as a share; negative where it is higher."""
    return None if loss is None or not baseline else 1.0 - loss / baseline


def widest_interval(levels: Sequence[float]) -> float | None:
    """The share that the widest central interval promises, or None where no two levels make one."""
    spans = [q - p for p in levels for q in levels if p < 0.5 and abs(p + q - 1.0) < 1e-9]
    return max(spans, default=None)


def _scores(rows: Sequence[Row]) -> list[Row]:
    """Segment by segment, errors in the order of `METRICS`, then the intervals."""
    order = list(METRICS)

    def place(row: Row) -> tuple[str, int, str]:
        metric = row["metric"]
        return row["segment"], order.index(metric) if metric in order else len(order), metric

    return [_score(row) for row in sorted(rows, key=place)]


def _score(row: Row) -> Row:
    metric = row["metric"]
    share = metric.startswith(COVERAGE) or METRICS.get(metric, ("", False))[1]
    # Coverage, bias and revision are not errors: a smaller one is no gain.
    comparable = metric not in ("bias", "instability") and not metric.startswith(COVERAGE)
    return row | {
        "label": label_of(metric),
        "share": share,
        "gain": gain(row["value"], row["baseline_value"]) if comparable else None,
    }


def label_of(metric: str) -> str:
    """What a metric is called on a page.

    >>> label_of("mase"), label_of("coverage_90")
    ('Scaled error (MASE)', 'Actuals inside the 90 % interval')
    """
    if metric.startswith(COVERAGE):
        return f"Actuals inside the {metric.removeprefix(COVERAGE)} % interval"
    return METRICS[metric][0] if metric in METRICS else metric.replace("_", " ").capitalize()


def _calibration_plot(rows: Sequence[Row]) -> str:
    """Promised against seen, from the coverage of each central interval; "" where there is none."""
    known = [row for row in rows if row["metric"].startswith(COVERAGE)]
    points = sorted((float(row["metric"].removeprefix(COVERAGE)) / 100, float(row["value"])) for row in known)
    return plots.calibration([promised for promised, _ in points], [seen for _, seen in points]) if points else ""
