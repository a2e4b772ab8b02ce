"""Which points of past nights an evaluation counts: all up to its cutoff that no earlier evaluation has counted.

Earlier means earlier by the clock, not by cutoff. A night that is filled in later finds that the nights around it have
been counted, but not its own forecasts. So each night's forecast of a day counts on one evaluation, and an evaluation
that runs again counts the same points as the first time.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import accumulate
from typing import Any

from models.calendar.grid import TimeGrid
from tasks.night.ledger import Ledger
from tasks.run.run_log import ENDED

# A night without a row in `run` counts as one that ran on time.
_ON_TIME = datetime.min.replace(tzinfo=UTC)
_NOW = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True)
class CountedPoints:
    """What earlier evaluations had counted when an evaluation first ran; all numbers are grid positions.

    Attributes:
        cutoff_index: The cutoff of the evaluation.
        previous_index: The cutoff of the newest older evaluation that counted any point. The first night's cutoff where
            there is none, and the evaluation's own cutoff where there is no older night.
        counted_until: For each older night by its cutoff, the newest of its points that was counted.
    """

    cutoff_index: int
    previous_index: int
    counted_until: Mapping[datetime, int]

    def has_uncounted(self, night: datetime, last_index: int) -> bool:
        """Whether this evaluation counts any point of a night, whose last step is at `last_index`."""
        return min(last_index, self.cutoff_index) > self.counted_until.get(night, self.cutoff_index)


def counted_points(ledger: Ledger, cutoff: datetime, grid: TimeGrid) -> CountedPoints:
    """What evaluations had counted before the one at a cutoff first ran; before now where it has counted nothing.

    Args:
        ledger: The job's.
        cutoff: Of the evaluation.
        grid: The job's time grid.
    """
    losses = [row for row in ledger.losses("all") if row["n"]]
    published = [row for row in ledger.publications() if row["cutoff"] < cutoff]
    evaluated_at = _first_ends(ledger.runs(), "score", {row["run_id"] for row in losses})
    published_at = _first_ends(ledger.runs(), "forecast", {row["run_id"] for row in published})

    # Evaluations and nights in the order in which they first ended; the cutoff decides between equal moments.
    ended = {
        evaluated_on: (evaluated_at.get(evaluated_on, _ON_TIME), evaluated_on)
        for evaluated_on in {row["evaluated_on"] for row in losses}
    }
    this_end = ended.get(cutoff, (evaluated_at.get(cutoff, _NOW), cutoff))
    # An evaluation that has counted nothing yet comes after all others.
    earlier = sorted(
        end for evaluated_on, end in ended.items() if evaluated_on != cutoff and (cutoff not in ended or end < this_end)
    )
    newest_from = list(accumulate((evaluated_on for _, evaluated_on in reversed(earlier)), max))[::-1]

    until = dict[datetime, datetime]()
    for night in (row["cutoff"] for row in published):
        night_end = (published_at.get(night, _ON_TIME), night)
        # Evaluations that ran after the night have counted its points up to their own cutoffs.
        newest_after = newest_from[bisect(earlier, night_end) :][:1]
        until[night] = max([night, *newest_after]) if night_end < this_end else cutoff
    older = [evaluated_on for _, evaluated_on in earlier if evaluated_on < cutoff]
    previous = max(older, default=min(until, default=cutoff))
    index, previous_index, *until_index = grid.positions([cutoff, previous, *until.values()])
    return CountedPoints(index, previous_index, dict(zip(until, until_index, strict=True)))


def _first_ends(runs: Iterable[Mapping[str, Any]], kind: str, run_ids_with_rows: set[str]) -> dict[datetime, datetime]:
    """When the first run of each cutoff ended that was of a kind, or of the whole night.

    A run that failed or crashed counts where rows that it wrote are there.
    """
    ends = dict[datetime, datetime]()
    for row in runs:
        if row["kind"] in (None, "nightly", kind) and (row["state"] in ENDED or row["run_id"] in run_ids_with_rows):
            end = row["finished_at"] or row["started_at"]
            ends[row["cutoff"]] = min(end, ends.get(row["cutoff"], end))
    return ends
