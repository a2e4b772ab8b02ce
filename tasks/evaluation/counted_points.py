"""Which points of past nights an evaluation counts: all up to its cutoff that no evaluation has counted before it.

Before it by the clock, not by cutoff: a night that is filled in later finds counted what the nights around it had
forecast, and nobody has counted its own. So each night's forecast of a day counts on one evaluation, and an evaluation
that is run again counts what it did the first time.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import accumulate
from typing import Any

import pandas as pd

from models.calendar.grid import TimeGrid
from sql.output import history
from tasks.run.run_log import ENDED
from tasks.store.places import Places

# Runs that are not kept were on time.
_ON_TIME = datetime.min.replace(tzinfo=UTC)
_NOW = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Counted:
    """What had been counted before an evaluation; all numbers are grid positions.

    Attributes:
        tonight: The evaluation's cutoff.
        before: The newest older evaluation that counted any point; the first night's cutoff where there is none, and
            tonight's where there is no older night.
        up_to: Up to where the points of each older night do not count tonight.
    """

    tonight: int
    before: int
    up_to: Mapping[datetime, int]

    def leaves(self, night: datetime, last: int) -> bool:
        """Whether any step of a night, the last one at a position, is left to be counted tonight."""
        return min(last, self.tonight) > self.up_to.get(night, self.tonight)


def counted_before(places: Places, cutoff: datetime, grid: TimeGrid) -> Counted:
    """What evaluations had counted before the one of a cutoff was run first; before now where it has counted
    nothing.
    """
    engine, job = places.engine(), places.job
    losses = [row for row in history.losses(engine, job, "all") if row["n"]]
    published = [row for row in history.publications(engine, job) if row["cutoff"] < cutoff]
    runs = history.runs(engine, job)
    judged_at = _first_ends(runs, "score", {row["run_id"] for row in losses})
    published_at = _first_ends(runs, "forecast", {row["run_id"] for row in published})

    turns = {
        evaluation: (judged_at.get(evaluation, _ON_TIME), evaluation)
        for evaluation in {row["evaluated_on"] for row in losses}
    }
    tonight = turns.get(cutoff, (judged_at.get(cutoff, _NOW), cutoff))
    # What has counted nothing so far finds counted what anybody has by now.
    earlier = sorted(
        turn for evaluation, turn in turns.items() if evaluation != cutoff and (cutoff not in turns or turn < tonight)
    )
    newest_from = list(accumulate((evaluation for _, evaluation in reversed(earlier)), max))[::-1]

    up_to = dict[datetime, datetime]()
    for night in (row["cutoff"] for row in published):
        turn = (published_at.get(night, _ON_TIME), night)
        # Evaluations that were run after the night have counted its points, if they are later ones.
        after = newest_from[bisect(earlier, turn) :][:1]
        up_to[night] = max([night, *after]) if turn < tonight else cutoff
    older = [evaluation for _, evaluation in earlier if evaluation < cutoff]
    before = max(older, default=min(up_to, default=cutoff))
    at, before_at, *found = grid.to_index(pd.DatetimeIndex([cutoff, before, *up_to.values()]))[0].tolist()
    return Counted(at, before_at, dict(zip(up_to, found, strict=True)))


def _first_ends(runs: Iterable[Mapping[str, Any]], part: str, wrote: set[str]) -> dict[datetime, datetime]:
    """When the first run of each cutoff ended that did a part of the night; a crashed one if what it wrote is there."""
    ends = dict[datetime, datetime]()
    for row in runs:
        if row["kind"] in (None, "nightly", part) and (row["state"] in ENDED or row["run_id"] in wrote):
            end = row["finished_at"] or row["started_at"]
            ends[row["cutoff"]] = min(end, ends.get(row["cutoff"], end))
    return ends
