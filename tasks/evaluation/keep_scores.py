"""Write scores: only those that changed, and none from fewer actuals than a later night has seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from models.evaluation.past_night import VERSION
from tasks.night.ledger import Ledger

Row = Mapping[str, Any]


def keep_scores(ledger: Ledger, rows: Sequence[Row], *, more_actuals: int | None = None) -> int:
    """Write the rows of one night's scores that differ from the stored ones.

    A month of nights is scored again on every evaluation, and most scores stay the same. Scores of versions that no
    longer forecast the night, which was published again, are deleted.

    Args:
        ledger: The job's.
        rows: Of one cutoff.
        more_actuals: How many more actuals than the stored row a row must have to replace it; None where any change
            replaces it. A past night that runs again gives 0, since it sees fewer actuals than later nights have seen.
            It gives 1 where it sees them as they were before they were revised.

    Returns:
        The number of rows written.
    """
    if not rows:
        return 0
    cutoff = rows[0]["cutoff"]
    stored = ledger.scores_of(cutoff)
    changed = []
    for row in rows:
        before = stored.get((row["segment"], row["step"], row["metric"]))
        keeps_stored = before is not None and more_actuals is not None and row["n"] < before[2] + more_actuals
        if not keeps_stored and before != _stored_form(row):
            changed.append(row)
    segments = {row["segment"] for row in rows}
    if any(segment.startswith(VERSION) for segment in segments):
        replaced = {segment for segment, *_ in stored if segment.startswith(VERSION) and segment not in segments}
        ledger.drop_scores(cutoff, sorted(replaced))
    return ledger.upsert_scores(changed)


def _stored_form(row: Row) -> tuple[Any, ...]:
    """A row as `Ledger.scores_of` gives it, with None for NaN."""
    figures = (None if np.isnan(row[name]) else row[name] for name in ("value", "baseline_value"))
    return (*figures, row["n"], row["model_version"])
