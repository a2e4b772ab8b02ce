"""Several rows for one series and step: which value counts."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from models.arrays import BoolArray, FloatArray, IntArray
from models.audit.findings import EXAMPLES, Findings, abbreviate
from models.audit.rows import Rows, without_infinities
from models.calendar.grid import TimeGrid
from models.errors import InputError


@dataclass(frozen=True)
class _Places:
    """Rows in order of series and time; those of one series and step are one place.

    Attributes:
        rows: The rows.
        begin: Shape (place,), the first row of each place.
        seen: Shape (row,), whether a row has a value.
        low, high: Shape (place,), the smallest and the largest value; inf and -inf where there is none.
        count: Shape (place,), number of values.
    """

    rows: Rows
    begin: IntArray
    seen: BoolArray
    low: FloatArray
    high: FloatArray
    count: IntArray

    @classmethod
    def of(cls, placed: Rows, policy: str | None) -> _Places:
        # A sum must not depend on the order of the rows in the source.
        last_key = placed.row if policy in ("first", "last") else placed.value
        rows = placed.take(np.lexsort((last_key, placed.index, placed.series)))
        fresh = np.ones(len(rows.row), bool)
        fresh[1:] = (rows.series[1:] != rows.series[:-1]) | (rows.index[1:] != rows.index[:-1])
        begin, seen = np.flatnonzero(fresh), ~np.isnan(rows.value)
        low = np.minimum.reduceat(np.where(seen, rows.value, np.inf), begin)
        high = np.maximum.reduceat(np.where(seen, rows.value, -np.inf), begin)
        return cls(rows, begin, seen, low, high, np.add.reduceat(seen.astype(np.int64), begin))

    def repeats(self, differs: BoolArray) -> BoolArray:
        """Rows that only repeat the place before them, shape (row,); `differs` marks places with several values."""
        repeats = ~np.repeat(differs, np.diff(self.begin, append=len(self.seen)))
        repeats[self.begin] = False
        return repeats

    def chosen(self, policy: str | None) -> IntArray:
        """One row of each place, shape (place,): with a value where the place has one."""
        row = np.arange(len(self.seen))
        if policy == "last":
            newest = np.maximum.reduceat(np.where(self.seen, row, -1), self.begin)
            return np.where(newest < 0, self.begin, newest)
        oldest = np.minimum.reduceat(np.where(self.seen, row, len(row)), self.begin)
        return np.where(oldest == len(row), self.begin, oldest)

    def totals(self) -> FloatArray:
        """Sum of the values of each place, shape (place,)."""
        return np.asarray(np.add.reduceat(np.where(self.seen, self.rows.value, 0.0), self.begin))


def without_duplicates(placed: Rows, grid: TimeGrid, findings: Findings, other_places: int = 0) -> Rows:
    """One row for each place, in order of series and time.

    Equal values count as one. Different values become one by the policy `duplicates`: `first`, `last`, `mean` or `sum`
    of the observed values, or the mean where it is None. For `sum` equal values count as different ones.

    Args:
        placed: Rows in the order of the source, without infinities.
        grid: Their grid.
        findings: Problems are added here.
        other_places: Number of places that have one row, and of which no row is in `placed`.

    Raises:
        InputError: where the policy is None and most places have different values.
    """
    policy = findings.policies.duplicates
    places = _Places.of(placed, policy)
    differs = places.count > 1 if policy == "sum" else places.low < places.high
    repeats = places.repeats(differs)
    if repeats.any():
        findings.add("duplicate rows", int(repeats.sum()), places.rows.examples(repeats), "counted once")
    if differs.any():
        _report_different(places, differs, grid, findings, len(places.begin) + other_places)
    kept = places.rows.take(places.chosen(policy))
    if policy in ("first", "last"):
        return kept
    merged = places.totals()
    if policy != "sum":
        merged = np.clip(merged / np.maximum(places.count, 1), places.low, places.high)
    return without_infinities(replace(kept, value=np.where(differs, merged, kept.value)), findings)


def _report_different(places: _Places, differs: BoolArray, grid: TimeGrid, findings: Findings, total: int) -> None:
    """Report places with different values; `total` is the number of all places."""
    rows, policy, count = places.rows, findings.policies.duplicates, int(differs.sum())
    examples = [
        f"{abbreviate(rows.series_ids[rows.series[places.begin[i]]])} at "
        f"{grid.instant(int(rows.index[places.begin[i]])):%Y-%m-%dT%H:%MZ}: {places.low[i]:g} and {places.high[i]:g}"
        for i in np.flatnonzero(differs)[:EXAMPLES]
    ]
    hint = _clock_hint(grid)
    if policy is None and 2 * count > total:
        raise InputError(
            f"{count} of {total} (series, timestamp) pairs have different values: {examples}. "
            f"Name every column of the id in source.series_id, or set audit.duplicates.{hint}"
        )
    action = f"the {policy} value is used" if policy in ("first", "last") else f"their {policy or 'mean'} is used"
    kind = f"timestamps with {'several' if policy == 'sum' else 'different'} values"
    findings.add_by_policy("duplicates", kind, count, examples, f"{action}.{hint}" if hint else action)


def _clock_hint(grid: TimeGrid) -> str:
    """The remedy where different values may come from a local hour that the clocks repeat; "" elsewhere."""
    if grid.time_zone == "UTC" or grid.steps_per_day <= 1:
        return ""
    return (
        f" When the clocks of {grid.time_zone} go back, an hour without a zone occurs twice: store timestamps with "
        "their zone, or set forecast.time_zone to UTC if they are in UTC."
    )
