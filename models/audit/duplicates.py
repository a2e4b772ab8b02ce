"""Several rows for one series and step: what counts of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from models.arrays import BoolArray, FloatArray, IntArray
from models.audit.findings import EXAMPLES, Finding, finding, shown
from models.audit.rows import Rows, without_infinities
from models.calendar.grid import TimeGrid
from models.errors import InputError


def without_duplicates(
    placed: Rows, grid: TimeGrid, findings: list[Finding], policy: str | None = None, elsewhere: int = 0
) -> Rows:
    """Rows in order of series and time, each place once: equal values as one, different ones as the policy says.

    Args:
        placed: Rows in the order of the source, without infinities.
        grid: Their grid.
        findings: What was found is added here.
        policy: `first`, `last`, `mean` or `sum` of the observed values; None for the mean.
        elsewhere: Number of places, other than those of these rows, that have one row.

    Raises:
        InputError: where the policy is None and most places have different values.
    """
    # Sums must not depend on the order in which the source gives its rows.
    last_key = placed.row if policy in ("first", "last") else placed.value
    placed = placed.take(np.lexsort((last_key, placed.index, placed.series)))
    fresh = np.ones(len(placed.row), bool)
    fresh[1:] = (placed.series[1:] != placed.series[:-1]) | (placed.index[1:] != placed.index[:-1])
    begin = np.flatnonzero(fresh)
    seen = ~np.isnan(placed.value)
    low = np.minimum.reduceat(np.where(seen, placed.value, np.inf), begin)
    high = np.maximum.reduceat(np.where(seen, placed.value, -np.inf), begin)
    # Who sums up sales means equal ones too.
    count = np.add.reduceat(seen.astype(np.int64), begin)
    differs = count > 1 if policy == "sum" else low < high
    again = ~fresh & ~np.repeat(differs, np.diff(begin, append=len(fresh)))
    if again.any():
        findings.append(Finding("rows given twice", int(again.sum()), placed.names(again), "counted once"))
    if differs.any():
        _note_different(placed, begin, low, high, differs, grid, findings, policy, len(begin) + elsewhere)
    place = np.arange(len(fresh))
    # An observed value wins over a missing one of the same place.
    if policy == "last":
        chosen = np.maximum.reduceat(np.where(seen, place, -1), begin)
        chosen = np.where(chosen < 0, begin, chosen)
    else:
        chosen = np.minimum.reduceat(np.where(seen, place, len(place)), begin)
        chosen = np.where(chosen == len(place), begin, chosen)
    kept = placed.take(chosen)
    if policy in ("first", "last"):
        return kept
    total = np.add.reduceat(np.where(seen, placed.value, 0.0), begin)
    if policy != "sum":
        total = np.clip(total / np.maximum(count, 1), low, high)
    return without_infinities(replace(kept, value=np.where(differs, total, kept.value)), findings)


def _note_different(
    placed: Rows,
    begin: IntArray,
    low: FloatArray,
    high: FloatArray,
    differs: BoolArray,
    grid: TimeGrid,
    findings: list[Finding],
    policy: str | None,
    places: int,
) -> None:
    examples = [
        f"{shown(placed.series_ids[placed.series[begin[i]]])} at "
        f"{grid.instant(int(placed.index[begin[i]])):%Y-%m-%dT%H:%MZ}: {low[i]:g} and {high[i]:g}"
        for i in np.flatnonzero(differs)[:EXAMPLES]
    ]
    hint = _clock_hint(grid)
    if policy is None and 2 * differs.sum() > places:
        raise InputError(
            f"{int(differs.sum())} of {places} (series, timestamp) pairs have two different values: {examples}. "
            f"Name every column of the id in source.series_id, or let audit.duplicates say what counts.{hint}"
        )
    action = f"their {policy or 'mean'} counts" if policy in (None, "mean", "sum") else f"the {policy} one counts"
    kind = f"timestamps with {'several' if policy == 'sum' else 'different'} values"
    count = int(differs.sum())
    findings.append(finding(kind, count, examples, f"{action}.{hint}" if hint else action, "duplicates", policy))


def _clock_hint(grid: TimeGrid) -> str:
    """What to think of where the clocks go back and an hour without a zone comes twice."""
    if grid.time_zone == "UTC" or grid.steps_per_day <= 1:
        return ""
    return (
        f" Where the clocks of {grid.time_zone} go back, an hour without a zone comes twice: store timestamps with "
        "their zone, or set forecast.time_zone to UTC if that is what they are."
    )
