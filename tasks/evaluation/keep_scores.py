"""Keep scores: only what is new, never less than what a later night has seen, and no version that forecasts no more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from models.evaluation.past_night import VERSION
from sql.output import history, write
from tasks.store.places import Places

Row = Mapping[str, Any]


def keep_scores(places: Places, rows: Sequence[Row], *, only_more: bool = False, older_actuals: bool = False) -> int:
    """Write the rows of one night's scores that say something else than the stored ones.

    Most of what is judged again says the same again, and a month of nights is judged every evaluation.

    Args:
        places: Where the job's tables lie.
        rows: Of one cutoff.
        only_more: Of a past night that runs again: it sees less than later nights have seen, and must not undo their
            scores. Only rows that know at least as many actuals are written.
        older_actuals: It may also see as many, but before they were revised: then only more of them are news.

    Returns:
        The number of rows written.
    """
    if not rows:
        return 0
    stored = history.scores_of(places.engine(), places.job, rows[0]["cutoff"])
    news = []
    for row in rows:
        before = stored.get((row["segment"], row["step"], row["metric"]))
        if before is not None and only_more and row["n"] < before[2] + older_actuals:
            continue
        if before != _said(row):
            news.append(row)
    segments = {row["segment"] for row in rows}
    if any(segment.startswith(VERSION) for segment in segments):
        # What no longer forecast the night, which was published again since.
        replaced = {segment for segment, *_ in stored if segment.startswith(VERSION) and segment not in segments}
        write.drop_scores(places.engine(), places.job, rows[0]["cutoff"], sorted(replaced))
    return write.upsert_scores(places.engine(), news)


def _said(row: Row) -> tuple[Any, ...]:
    """What a row says, as it comes back from the table."""
    figures = (None if np.isnan(row[name]) else row[name] for name in ("value", "baseline_value"))
    return (*figures, row["n"], row["model_version"])
