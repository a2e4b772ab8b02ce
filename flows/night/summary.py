"""What a night did, for people and for programs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sql.output.write import RunEnd

_SHOWN = ("mase", "wape", "smape", "mae", "rmse")


@dataclass(frozen=True)
class NightSummary:
    """One night.

    Attributes:
        run_id: Key of the night in the table `run`.
        job: The job's name.
        cutoff: Last timestamp that the forecast saw.
        series: Number of series.
        rows: Forecast rows published.
        rows_read: Rows that the source gave.
        fallback_series: Number of series that the model did not forecast.
        fallback_reasons: Why, and how many series each.
        train_mode: scratch, warm or load.
        train_reason: Why this mode, and how many of the series were learnt from where not all.
        trained_on: The latter alone, "" where all or none.
        model_version: The version that forecast.
        findings: What was odd about the input, in words.
        stale: Whether the newest value of the source is too old.
        scores: Metrics over all steps of the newest night whose actuals have arrived.
        losses: Tonight's loss of each segment, with the rule's verdict.
        alerts: What opened or recovered tonight, in words.
        seconds: Of each stage.
        tables: The output database, without password.
        parquet: Folder of this night's Parquet file.
        report: The page, "" where there is none.
        undelivered: Alerts that no target took; tried again next night.
        kind: The whole night (`nightly`), or only a part of it: `train`, `forecast` or `score`.
        state: completed; unchanged where the very same rows were published before; skipped where the night was left
            out.
        note: Why, what became of the nights before that were missed, and how a challenger stands; "" for nothing.
        not_taken: What became of a version that was trained tonight where it is not the one that forecasts; else "".
    """

    run_id: str
    job: str
    cutoff: datetime
    series: int
    rows: int
    rows_read: int
    fallback_series: int
    fallback_reasons: dict[str, int]
    train_mode: str
    train_reason: str
    trained_on: str
    model_version: str
    findings: list[str]
    stale: bool
    scores: list[dict[str, Any]]
    losses: list[dict[str, Any]]
    alerts: list[str]
    seconds: dict[str, float]
    tables: str
    parquet: str
    report: str
    undelivered: list[str]
    kind: str = "nightly"
    state: RunEnd = "completed"
    note: str = ""
    not_taken: str = ""

    @classmethod
    def skipped(cls, run_id: str, job: str, cutoff: datetime, tables: str, note: str) -> NightSummary:
        """A night that was left out."""
        nothing: dict[str, Any] = {
            **dict.fromkeys(("series", "rows", "rows_read", "fallback_series"), 0),
            **dict.fromkeys(("train_mode", "train_reason", "trained_on", "model_version", "parquet", "report"), ""),
            "fallback_reasons": {}, "findings": [], "scores": [], "losses": [], "alerts": [], "seconds": {},
            "undelivered": [], "stale": False,
        }  # fmt: skip
        return cls(run_id=run_id, job=job, cutoff=cutoff, tables=tables, state="skipped", note=note, **nothing)

    @property
    def message(self) -> str:
        """The night in one line."""
        if self.state == "skipped":
            return f"skipped: {self.note}"
        parts = [f"{self.series} series"]
        if self.kind == "train":
            parts = [f"{self.train_mode}: {self.not_taken or self.model_version}"]
        if self.kind == "score":
            parts = [_loss_line(loss) for loss in self.losses if loss["segment"] == "all"] or ["no night to judge yet"]
        if self.fallback_series:
            parts = [f"{self.fallback_series} of {self.series} series by fallback"]
        if self.trained_on:
            parts.append(self.trained_on)
        if self.stale:
            parts.append("the source is stale")
        if degraded := [loss["segment"] for loss in self.losses if loss["state"] == "degraded"]:
            parts.append(f"loss degraded in {', '.join(degraded)}")
        if self.undelivered:
            parts.append(f"{len(self.undelivered)} alerts not delivered")
        if self.note:
            parts.append(self.note)
        return "; ".join(parts)

    def to_dict(self) -> dict[str, Any]:
        """JSON-able, times as ISO text."""
        return {**asdict(self), "cutoff": self.cutoff.isoformat(), "message": self.message}

    def text(self) -> str:
        """Several lines for people."""
        first = f"{self.job}, cutoff {self.cutoff:%Y-%m-%d %H:%M} UTC: {self.message}"
        if self.state == "skipped":
            return first
        lines = [
            first,
            f"  {'input':<10}{self.rows_read} rows of {self.series} series",
            *(f"  {'':<10}{finding}" for finding in self.findings),
            f"  {'model':<10}{self.model_version} ({self.train_mode}: {self.train_reason})",
            *(f"  {'fallback':<10}{count} series: {reason}" for reason, count in self.fallback_reasons.items()),
            f"  {'forecast':<10}{self.rows} rows in {self.tables}, table forecast",
            f"  {'parquet':<10}{self.parquet}",
            *(f"  {'score':<10}{line}" for line in self._score_lines()),
            *(f"  {'loss':<10}{_loss_line(loss)}" for loss in self.losses),
            *(f"  {'alert':<10}{alert}" for alert in self.alerts),
            *(f"  {'not sent':<10}{alert}" for alert in self.undelivered),
            f"  {'report':<10}{self.report}",
            f"  {'seconds':<10}" + ", ".join(f"{stage} {spent:.1f}" for stage, spent in self.seconds.items()),
        ]
        return "\n".join(lines)

    def _score_lines(self) -> list[str]:
        return [
            f"{row['metric']} {_figure(row['value'])} (seasonal naive {_figure(row['baseline_value'])})"
            for row in self.scores
            if row["segment"] == "all" and row["metric"] in _SHOWN
        ]


def _loss_line(loss: Mapping[str, Any]) -> str:
    if not loss["n"]:
        return f"{loss['segment']}: no new actual has arrived, so {loss['state']}"
    return (
        f"{loss['segment']}: {_figure(loss['loss'])} (seasonal naive {_figure(loss['baseline_loss'])}), "
        f"coverage {_figure(loss['coverage'])}, {loss['state']}{_doubt(loss)}"
    )


def _doubt(loss: Mapping[str, Any]) -> str:
    """What a verdict leaves open: why there is none, or how small a degradation it could see."""
    if loss["state"] == "not evaluated":
        return f": {loss['reason']}" if loss.get("reason") else ""
    seen = loss.get("detectable_effect")
    if seen is None or seen != seen:
        return ", too few series to see any degradation within 14 nights"
    return f", would see {100 * seen:.0f} % worse within 14 nights"


def _figure(value: float | None) -> str:
    return "-" if value is None or value != value else f"{value:.3f}"
