"""What the stages of a night come to, and the summary of all of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flows.night.summary import NightSummary
from models.audit.build_panel import Audit
from models.evaluation.hindcast_means import HindcastMeans, hindcast_means
from sql.output.write import RunEnd
from tasks.evaluation.score import Scored
from tasks.forecasting.predict import Predicted
from tasks.monitoring.notify import Notified
from tasks.monitoring.watch import Watched
from tasks.night.night import Night
from tasks.planning.read_plan import ReadPlan
from tasks.publishing.publish import Publication
from tasks.training.decide import Decision
from tasks.training.night_model import NightModel


@dataclass(frozen=True)
class History:
    """What was read.

    Attributes:
        rows_file: The source's rows, see `read_series`.
        panel_file: The panel made of them.
        audit: What the audit found.
        plan: How much was read; None for everything.
    """

    rows_file: Path
    panel_file: Path
    audit: Audit
    plan: ReadPlan | None


@dataclass(frozen=True)
class Prepared:
    """Tonight's model, and the history that it sees."""

    history: History
    decision: Decision
    model: NightModel


@dataclass(frozen=True)
class Forecasted:
    """Tonight's forecast, and where it was published."""

    predicted: Predicted
    publication: Publication


@dataclass(frozen=True)
class Judgement:
    """How past forecasts did.

    Attributes:
        scored: Their scores and losses.
        watched: The verdicts on the losses.
        changes: Alerts that opened or closed, for people.
        notified: Which alerts were sent.
    """

    scored: Scored
    watched: Watched
    changes: tuple[str, ...]
    notified: Notified


@dataclass(frozen=True)
class Results:
    """What a whole night, or a part of it, came to.

    Attributes:
        prepared: The model and the history.
        forecast: None where nothing was forecast.
        judgement: None where nothing was judged.
        page: File of the report; "" where there is none.
        notes: On missed nights and on a challenger, for people; "" for nothing.
    """

    prepared: Prepared
    forecast: Forecasted | None
    judgement: Judgement | None
    page: str
    notes: tuple[str, ...]

    @property
    def state(self) -> RunEnd:
        """How the run ended."""
        return "unchanged" if self._same_as else "completed"

    @property
    def note(self) -> str:
        """What else there is to say, for people; "" for nothing."""
        same = f"the same rows that run {self._same_as} had published" if self._same_as else ""
        return "; ".join(filter(None, (same, *self.notes)))

    @property
    def train_reason(self) -> str:
        """Why the model came about as it did."""
        decision, model = self.prepared.decision, self.prepared.model
        return "; ".join(filter(None, (decision.reason, model.failure, model.outcome, model.trained_on, model.cut)))

    @property
    def series(self) -> int:
        """Number of series."""
        return self.prepared.history.audit.series if self.forecast is None else self.forecast.predicted.series

    @property
    def fallback_reasons(self) -> dict[str, int]:
        """Why series were left to the fallback, and how many each."""
        return {} if self.forecast is None else self.forecast.predicted.fallback_reasons

    @property
    def _same_as(self) -> str:
        return "" if self.forecast is None else self.forecast.publication.same_as

    def run_facts(self, seconds: Mapping[str, float]) -> dict[str, Any]:
        """Columns of the table `run`."""
        return {
            "train_mode": self.prepared.model.mode,
            "train_reason": self.train_reason,
            "model_version": self.prepared.model.version,
            "rows_read": self.prepared.history.audit.rows_read,
            "series": self.series,
            "fallback_series": sum(self.fallback_reasons.values()),
            "seconds": dict(seconds),
            "report": self.page or None,
            "note": self.note or None,
        }

    def _hindcast(self, night: Night) -> list[HindcastMeans]:
        """What stands in for a loss that no actual has arrived for."""
        if self.judgement is None or any(row["n"] for row in self.judgement.watched.losses):
            return []
        return hindcast_means(night.ledger.hindcast_losses())

    def summary(self, night: Night, seconds: Mapping[str, float]) -> NightSummary:
        """The night for people and for programs."""
        audit, model, judgement = self.prepared.history.audit, self.prepared.model, self.judgement
        is_not_taken = model.new_version is not None and model.new_version != model.serving_version
        return NightSummary(
            run_id=night.run_id,
            job=night.job.name,
            cutoff=night.cutoff,
            series=self.series,
            rows=0 if self.forecast is None else self.forecast.publication.rows,
            rows_read=audit.rows_read,
            fallback_series=sum(self.fallback_reasons.values()),
            fallback_reasons=self.fallback_reasons,
            train_mode=model.mode,
            train_reason=self.train_reason,
            trained_on=model.trained_on,
            cut=model.cut,
            model_version=model.version,
            findings=[str(finding) for finding in audit.findings],
            scores=[] if judgement is None else judgement.scored.newest_scores,
            scored_steps=[] if judgement is None else judgement.scored.newest_steps,
            losses=[] if judgement is None else judgement.watched.losses,
            hindcast=self._hindcast(night),
            alerts=[] if judgement is None else list(judgement.changes),
            seconds=dict(seconds),
            stale=audit.stale,
            tables=night.places.url_text,
            parquet="" if self.forecast is None else self.forecast.publication.parquet,
            report=self.page,
            report_url=night.places.published_at(Path(self.page)) if self.page else "",
            undelivered=[] if judgement is None else list(judgement.notified.undelivered),
            kind=night.kind,
            state=self.state,
            note=self.note,
            not_taken=model.outcome if is_not_taken else "",
        )
