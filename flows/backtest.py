"""Rolling-origin evaluation: train once on the oldest past, forecast from every cutoff, judge by what came after."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from flows.job import load_job
from models.challengers import require_challengers
from tasks.backtest import Judged, backtest, choose_cutoffs
from tasks.read_series import read_series


@dataclass(frozen=True)
class Backtested:
    """Metrics over all series and cutoffs, beside those of the seasonal naive and the challengers.

    Attributes:
        job: The job's name.
        cutoffs: Oldest first.
        judged: The metrics, and how often the seasonal naive had to stand in.
    """

    job: str
    cutoffs: list[datetime]
    judged: Judged

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
            "scores": self.judged.scores,
            "forecasts": self.judged.forecasts,
            "by_fallback": self.judged.by_fallback,
        }


def backtest_job(job: str | Path, cutoffs: int, challengers: Sequence[str] = ()) -> Backtested:
    """Forecast from `cutoffs` past cutoffs, one horizon apart, the newest with a whole horizon of actuals.

    Nothing is published: forecasts and the network are gone afterwards.

    Args:
        job: Path of a job's file, or its name in the jobs folder.
        cutoffs: How many.
        challengers: What to compare with besides the seasonal naive, see `CHALLENGERS`.

    Raises:
        InputError: the history is too short for so many cutoffs; a challenger is unknown or not installed.
    """
    require_challengers(challengers)
    loaded = load_job(job)
    part = loaded.job
    with TemporaryDirectory() as folder:
        rows_file = read_series(part.source, loaded.base, part.forecast, None, None, Path(folder))
        chosen = choose_cutoffs(rows_file, part.source, part.forecast, part.audit, cutoffs, datetime.now(UTC))
        judged = backtest(
            rows_file, part.source, part.forecast, part.audit, part.network, part.training, chosen, challengers
        )
    return Backtested(part.name, chosen, judged)
