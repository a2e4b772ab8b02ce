"""Rolling-origin evaluation: train on a past, forecast from every cutoff, judge by what came after."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from flows.job.job import load_job
from models.baselines.challengers import require_challengers
from models.evaluation.backtest import BacktestResult
from tasks.evaluation.backtest import BacktestRun, Train, backtest, choose_cutoffs
from tasks.reading.read_series import Extent, read_series
from tasks.report.backtest_page import BacktestPage, describe_difference, write_backtest

TRAINED = {"once": "trained once, at the first cutoff", "each": "trained anew at each cutoff"}


@dataclass(frozen=True)
class Backtested:
    """Metrics over all series and cutoffs, beside those of the seasonal naive and the challengers.

    Attributes:
        job: The job's name.
        cutoffs: Oldest first.
        judged: The metrics, and how often the seasonal naive had to stand in.
        train: How often the network was trained.
        page: The page with plots, and the same in short.
    """

    job: str
    cutoffs: list[datetime]
    judged: BacktestResult
    train: Train
    page: BacktestPage

    @property
    def trained(self) -> str:
        """How often the network was trained, in words."""
        return TRAINED[self.train]

    def rows(self) -> list[dict[str, Any]]:
        """Metrics over all steps, one column for each that forecast."""
        return [
            {
                "metric": score["metric"],
                "model": score["value"],
                "seasonal naive": score["baseline_value"],
                **score["challengers"],
                "n": score["n"],
            }
            for score in self.judged.scores
            if score["step"] == 0
        ]

    def comparisons(self) -> list[dict[str, Any]]:
        """How much lower the model's loss is than each other's in each segment, and how sure that is."""
        return [
            {
                "segment": row["segment"],
                "loss": row["metric"],
                "against": row["against"],
                "the model's is": describe_difference(row),
                "better series": row["better"],
                "series": row["series"],
            }
            for row in self.judged.differences
        ]

    def notes(self) -> list[str]:
        """For how many forecasts of the network and of each challenger the seasonal naive stands in, and why."""
        return [
            f"{name}: the seasonal naive stands in for {sum(reasons.values())} of {self.judged.forecasts} forecasts: "
            + "; ".join(f"{reason} ({times})" for reason, times in Counter(reasons).most_common(5))
            for name, reasons in self.judged.by_fallback.items()
            if reasons
        ]

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return {
            "job": self.job,
            "cutoffs": [each.isoformat() for each in self.cutoffs],
            "train": self.train,
            "scores": self.judged.scores,
            "segments": self.judged.segments,
            "differences": self.judged.differences,
            "forecasts": self.judged.forecasts,
            "by_fallback": self.judged.by_fallback,
            "page": str(self.page.file),
        }


def backtest_job(job: str | Path, cutoffs: int, challengers: Sequence[str] = (), train: Train = "once") -> Backtested:
    """Forecast from `cutoffs` past cutoffs, one horizon apart, the newest with a whole horizon of actuals.

    Nothing is published: forecasts and the network are gone afterwards; only a page with plots is left beside the
    job's reports.

    Args:
        job: Path of a job's file, or its name in the jobs folder.
        cutoffs: How many.
        challengers: What to compare with besides the seasonal naive, see `CHALLENGERS`.
        train: Once, at the first cutoff, or anew at each.

    Raises:
        InputError: the history is too short for so many cutoffs; a challenger is unknown or not installed.
    """
    require_challengers(challengers)
    loaded = load_job(job)
    with TemporaryDirectory() as folder:
        rows_file = read_series(loaded.job, loaded.base, Extent(), Path(folder))
        run = BacktestRun(loaded.job, rows_file, challengers, train)
        chosen = choose_cutoffs(run, cutoffs, datetime.now(UTC))
        judged = backtest(run, chosen)
    page = write_backtest(loaded.places, judged, chosen, TRAINED[train], loaded.job.forecast.zone)
    return Backtested(loaded.job.name, chosen, judged, train, page)
