"""The summary of a night, for people and for programs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from models.counted import counted
from models.evaluation.hindcast_means import HindcastMeans
from sql.output.write import RunEnd
from tasks.printing.safe import safe_line, safe_lines

_SHOWN = ("mase", "wape", "smape", "mae", "rmse")


@dataclass(frozen=True, kw_only=True)
class NightSummary:
    """One night.

    Attributes:
        run_id: Key of the night in the table `run`.
        job: The job's name.
        cutoff: Last timestamp that the forecast saw.
        series: Number of series.
        rows: Number of forecast rows that are published.
        rows_read: Number of rows that were read from the source.
        fallback_series: Number of series that the model did not forecast.
        fallback_reasons: Why, and how many series each.
        train_mode: scratch, warm, load or none.
        train_reason: Why this mode, what became of a new version, and how many series and steps training used where not
            all.
        trained_on: How many series training used; "" for all or none.
        cut: Why training had no time for all its steps; "" where it had, or there was none.
        model_version: The version that forecast.
        findings: What the audit found in the input, for people.
        stale: Whether the newest value of the source is too old.
        scores: Metrics of the newest night with actuals, over its steps whose actuals have arrived.
        scored_steps: These steps.
        losses: Tonight's loss of each segment, with the verdict.
        hindcast: What the first model would have lost before the job's first night, by segment; only where tonight has
            no loss.
        alerts: Messages of the alerts that opened or closed tonight.
        seconds: Seconds of each stage.
        tables: The output database, without password.
        parquet: Folder of this night's Parquet file.
        report: File of the page; "" where there is none.
        home: File of the page over all nights; "" where there is none.
        report_url: Address of the page for a browser; "" where no web server is known to publish it.
        undelivered: Messages of the alerts that some target did not accept. They are sent again the next night.
        kind: The whole night (`nightly`), or only a part of it: `train`, `forecast` or `score`.
        state: completed; unchanged where the very same rows were published before; skipped where the night was left
            out.
        note: Why it was left out, what became of missed nights, and how a challenger stands; "" for nothing.
        not_taken: What became of a new version that does not forecast; "" where there is none.
    """

    run_id: str
    job: str
    cutoff: datetime
    series: int = 0
    rows: int = 0
    rows_read: int = 0
    fallback_series: int = 0
    fallback_reasons: dict[str, int] = field(default_factory=dict)
    train_mode: str = ""
    train_reason: str = ""
    trained_on: str = ""
    cut: str = ""
    model_version: str = ""
    findings: list[str] = field(default_factory=list)
    stale: bool = False
    scores: list[dict[str, Any]] = field(default_factory=list)
    scored_steps: list[int] = field(default_factory=list)
    losses: list[dict[str, Any]] = field(default_factory=list)
    hindcast: list[HindcastMeans] = field(default_factory=list)
    alerts: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    tables: str
    parquet: str = ""
    report: str = ""
    home: str = ""
    report_url: str = ""
    undelivered: list[str] = field(default_factory=list)
    kind: str = "nightly"
    state: RunEnd = "completed"
    note: str = ""
    not_taken: str = ""

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
            parts = [*(line for line in self._score_lines() if line.startswith("mae ")), *parts]
        if self.fallback_series:
            parts = [f"{self.fallback_series} of {self.series} series by fallback"]
        parts += filter(None, (self.trained_on, self.cut))
        if self.stale:
            parts.append("the source is stale")
        if degraded := [loss["segment"] for loss in self.losses if loss["state"] == "degraded"]:
            parts.append(f"loss degraded in {', '.join(degraded)}")
        if self.undelivered:
            parts.append(f"{counted(len(self.undelivered), 'alert')} not delivered")
        if self.note:
            parts.append(self.note)
        return "; ".join(parts)

    def to_dict(self) -> dict[str, Any]:
        """The summary as JSON, times as ISO text."""
        hindcast = [
            {**asdict(each), "first": each.first.isoformat(), "last": each.last.isoformat()} for each in self.hindcast
        ]
        return {**asdict(self), "hindcast": hindcast, "cutoff": self.cutoff.isoformat(), "message": self.message}

    def text(self) -> str:
        """The summary in several lines, for people."""
        first = f"{self.job}, cutoff {self.cutoff:%Y-%m-%d %H:%M} UTC: {self.message}"
        if self.state == "skipped":
            return safe_line(first)
        lines = [
            first,
            f"  {'input':<10}{self.rows_read} rows of {self.series} series",
            *(f"  {'':<10}{finding}" for finding in self.findings),
            f"  {'model':<10}{self.model_version} ({self.train_mode}: {self.train_reason})",
            *(f"  {'fallback':<10}{count} series: {reason}" for reason, count in self.fallback_reasons.items()),
            f"  {'forecast':<10}{self.rows} rows in {self.tables}, table forecast",
            f"  {'parquet':<10}{self.parquet}",
            *(f"  {'score':<10}{line}" for line in self._score_lines()),
            *(f"  {'loss':<10}{line}" for line in self._loss_lines()),
            *(f"  {'alert':<10}{alert}" for alert in self.alerts),
            *(f"  {'not sent':<10}{alert}" for alert in self.undelivered),
            f"  {'report':<10}{self.report}",
            *([f"  {'':<10}{self.report_url}"] if self.report_url else []),
            f"  {'nights':<10}{self.home}",
            f"  {'seconds':<10}" + ", ".join(f"{stage} {spent:.1f}" for stage, spent in self.seconds.items()),
        ]
        return safe_lines(lines)

    def _loss_lines(self) -> list[str]:
        """The loss of each segment; of a night without new actuals, the hindcast."""
        if not self.hindcast:
            return [_loss_line(loss) for loss in self.losses]
        lines = [_hindcast_line(each) for each in self.hindcast]
        return [
            "not evaluated: no new actual of an earlier forecast has arrived",
            f"hindcast, {self.hindcast[0].basis}",
            *lines,
        ]

    def _score_lines(self) -> list[str]:
        steps = self.scored_steps
        scored = f"step {steps[0]} alone" if len(steps) == 1 else f"{len(steps)} steps"
        return [
            f"{row['metric']} {_figure(row['value'])} (seasonal naive {_figure(row['baseline_value'])}), "
            f"{scored} of the night of {row['cutoff']:%Y-%m-%d %H:%M} UTC"
            for row in self.scores
            if row["segment"] == "all" and row["metric"] in _SHOWN
        ]


def _hindcast_line(means: HindcastMeans) -> str:
    return (
        f"{means.segment}: {_figure(means.loss)} (seasonal naive {_figure(means.baseline_loss)}), "
        f"coverage {_figure(means.coverage)}"
    )


def _loss_line(loss: Mapping[str, Any]) -> str:
    if not loss["n"]:
        return f"{loss['segment']}: no new actual has arrived, so {loss['state']}"
    return (
        f"{loss['segment']}: {_figure(loss['loss'])} (seasonal naive {_figure(loss['baseline_loss'])}), "
        f"coverage {_figure(loss['coverage'])}, {loss['state']}{_power(loss)}"
    )


def _power(loss: Mapping[str, Any]) -> str:
    """Why there is no verdict, or how small a degradation it could detect."""
    if loss["state"] == "not evaluated":
        return f": {loss['reason']}" if loss.get("reason") else ""
    detectable = loss.get("detectable_effect")
    if detectable is None or detectable != detectable:
        return ", too few series to detect any degradation within 14 nights"
    return f", would detect {100 * detectable:.0f} % worse within 14 nights"


def _figure(value: float | None) -> str:
    return "-" if value is None or value != value else f"{value:.3f}"
