"""Rolling-origin evaluation: train once on the oldest past, forecast from every cutoff, judge by what came after."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from flows.job import load_job
from tasks.backtest import backtest, choose_cutoffs
from tasks.read_series import read_series


@dataclass(frozen=True)
class Backtested:
    """Metrics over all series and cutoffs, beside the seasonal naive's.

    Attributes:
        job: The job's name.
        cutoffs: Oldest first.
        scores: One entry per step (0 for all) and metric.
    """

    job: str
    cutoffs: list[datetime]
    scores: list[dict[str, Any]]

    def rows(self) -> list[dict[str, Any]]:
        """Metrics over all steps."""
        return [row for row in self.scores if row["step"] == 0]

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return {"job": self.job, "cutoffs": [each.isoformat() for each in self.cutoffs], "scores": self.scores}


def backtest_job(job: str | Path, cutoffs: int) -> Backtested:
    """Forecast from `cutoffs` past cutoffs, one horizon apart, the newest with a whole horizon of actuals.

    Nothing is published: forecasts and the network are gone afterwards.

    Raises:
        InputError: the history is too short for so many cutoffs.
    """
    loaded = load_job(job)
    part = loaded.job
    with TemporaryDirectory() as folder:
        rows_file = read_series(part.source, loaded.base, part.forecast, None, Path(folder))
        chosen = choose_cutoffs(rows_file, part.source, part.forecast, cutoffs, datetime.now(UTC))
        scores = backtest(rows_file, part.source, part.forecast, part.network, part.training, chosen)
    return Backtested(part.name, chosen, scores)
