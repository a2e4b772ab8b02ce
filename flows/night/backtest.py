"""Rolling-origin evaluation: train on older history, forecast from past cutoffs, compare with the actuals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import Any

from flows.job.job import load_job
from flows.night.stages import update_home
from models.baselines.challengers import require_challengers
from models.evaluation.backtest import BacktestResult
from sql.full_disk import told_of_full_disk
from tasks.activity import activity
from tasks.evaluation.backtest import BacktestRun, Train, backtest, choose_cutoffs
from tasks.night.ledger import Ledger
from tasks.reading.read_series import Extent, read_series
from tasks.report.backtest_page import BacktestPage, describe_difference, write_backtest

TRAINED = {"once": "trained once, at the first cutoff", "each": "trained again at each cutoff"}


@dataclass(frozen=True)
class Backtested:
    """Metrics over all series and cutoffs, with those of the seasonal naive and the challengers.

    Attributes:
        job: The job's name.
        cutoffs: The cutoffs, oldest first.
        result: The metrics, and how often the seasonal naive stands in for a forecast.
        train: How often the network was trained.
        page: The page with plots, and an abridged one.
    """

    job: str
    cutoffs: list[datetime]
    result: BacktestResult
    train: Train
    page: BacktestPage

    @property
    def trained(self) -> str:
        """How often the network was trained, for people."""
        return TRAINED[self.train]

    def rows(self) -> list[dict[str, Any]]:
        """Metrics over all steps, one column for each method."""
        return [
            {
                "metric": score["metric"],
                "model": score["value"],
                "seasonal naive": score["baseline_value"],
                **score["challengers"],
                "n": score["n"],
            }
            for score in self.result.scores
            if score["step"] == 0
        ]

    def comparisons(self) -> list[dict[str, Any]]:
        """How much lower the loss of the model is than that of each other method, by segment, and how certain."""
        return [
            {
                "segment": row["segment"],
                "loss": row["metric"],
                "against": row["against"],
                "the model's is": describe_difference(row),
                "better series": row["better"],
                "series": row["series"],
            }
            for row in self.result.differences
        ]

    def notes(self) -> list[str]:
        """How many forecasts of each method the seasonal naive stands in for, and why."""
        return [
            f"{name}: the seasonal naive stands in for {sum(reasons.values())} of {self.result.forecasts} forecasts: "
            + "; ".join(f"{reason} ({times})" for reason, times in Counter(reasons).most_common(5))
            for name, reasons in self.result.by_fallback.items()
            if reasons
        ]

    def to_dict(self) -> dict[str, Any]:
        """The result as JSON."""
        return {
            "job": self.job,
            "cutoffs": [each.isoformat() for each in self.cutoffs],
            "train": self.train,
            "scores": self.result.scores,
            "segments": self.result.segments,
            "differences": self.result.differences,
            "forecasts": self.result.forecasts,
            "by_fallback": self.result.by_fallback,
            "page": str(self.page.file),
        }


def backtest_job(job: str | Path, cutoffs: int, challengers: Sequence[str] = (), train: Train = "once") -> Backtested:
    """Forecast from `cutoffs` past cutoffs, one horizon apart, the newest with a whole horizon of actuals.

    Nothing is published, and neither the forecasts nor the network are kept. A page with plots is written beside the
    job's reports.

    Args:
        job: Path of a job's file, or its name in the jobs folder.
        cutoffs: Number of cutoffs.
        challengers: Methods to compare with, besides the seasonal naive; see `CHALLENGERS`.
        train: Once, at the first cutoff, or again at each.

    Raises:
        InputError: the history is too short for so many cutoffs; a challenger is unknown or not installed.
    """
    require_challengers(challengers)
    loaded = load_job(job)
    with told_of_full_disk(gettempdir()), TemporaryDirectory() as folder:
        with activity("reading the source"):
            rows_file = read_series(loaded.job, loaded.base, Extent(), Path(folder))
        run = BacktestRun(loaded.job, rows_file, challengers, train).on_grid_of_rows()
        chosen = choose_cutoffs(run, cutoffs, datetime.now(UTC))
        result = backtest(run, chosen)
    now = datetime.now(UTC)
    page = write_backtest(loaded.places, result, chosen, TRAINED[train], loaded.job.forecast.zone, now)
    update_home(loaded.places, Ledger(loaded.places), loaded.job, page.file)
    return Backtested(loaded.job.name, chosen, result, train, page)
