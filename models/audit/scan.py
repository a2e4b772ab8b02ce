"""A first look at all rows: what is odd about them one by one, and from where to where each series reaches."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pyarrow.compute as pc

from models.arrays import BoolArray, IntArray
from models.audit.findings import EXAMPLES, NOT_OBSERVED, Finding, finding, shown
from models.audit.row_stream import Batch, PlacedRows
from models.audit.rows import INFINITE, TOO_LARGE, Rows, Tally, wild
from models.errors import InputError
from models.panel.positions import LATEST, NEVER
from models.settings.audit import AuditSettings


@dataclass
class Survey:
    """What the rows on the grid reach.

    Attributes:
        first, last: Shape (series,), grid positions of the oldest and the newest row; LATEST and NEVER where none is.
        first_observed: Shape (series,), the oldest row with a value; LATEST where there is none.
        newest_by_now: Grid position of the newest value up to now; NEVER where there is none.
        newest: The same, whenever.
        rows: Number of rows.
        observed: Number of rows with a value.
    """

    first: IntArray
    last: IntArray
    first_observed: IntArray
    newest_by_now: int = NEVER
    newest: int = NEVER
    rows: int = 0
    observed: int = 0

    def add(self, placed: Rows, now: int) -> None:
        """Take some rows into account; `now` is the grid position of the moment that counts as now."""
        np.minimum.at(self.first, placed.series, placed.index)
        np.maximum.at(self.last, placed.series, placed.index)
        seen = ~np.isnan(placed.value)
        series, index = (placed.series, placed.index) if seen.all() else (placed.series[seen], placed.index[seen])
        np.minimum.at(self.first_observed, series, index)
        self.newest = max(self.newest, int(index.max(initial=NEVER)))
        self.newest_by_now = max(self.newest_by_now, int(index.max(initial=NEVER, where=index <= now)))
        self.rows += len(placed.index)
        self.observed += len(index)


@dataclass
class _Odd:
    """What is odd about single rows."""

    off: int = 0
    off_examples: list[str] = field(default_factory=list)
    off_moments: list[str] = field(default_factory=list)
    texts: int = 0
    text_examples: list[str] = field(default_factory=list)
    infinite: Tally = field(default_factory=Tally)
    large: Tally = field(default_factory=Tally)
    future: Tally = field(default_factory=Tally)


def take_survey(rows: PlacedRows, now: int, findings: list[Finding], audit: AuditSettings) -> Survey:
    """Go through all rows once.

    Args:
        rows: The rows; where their columns have `value_text`, it holds the texts that stood where a number should.
        now: Grid position of the moment that counts as now.
        findings: What was found is added here.
        audit: The policies.

    Raises:
        InputError: where most rows lie off the grid, and no policy says what becomes of them.
    """
    count = len(rows.series_ids)
    survey = Survey(np.full(count, LATEST), np.full(count, NEVER), np.full(count, LATEST))
    odd = _Odd()
    texts = ("value_text",) if "value_text" in rows.source.column_names else ()
    for batch in rows.read(texts):
        _note_off_grid(batch, rows, odd)
        placed = rows.kept(batch)
        if texts:
            _note_texts(batch, placed, odd)
        infinite, large = wild(batch.value[placed.row])
        odd.infinite.add(placed.series, infinite)
        odd.large.add(placed.series, large)
        if audit.future == "error":
            odd.future.add(placed.series, (placed.index > now) & ~np.isnan(placed.value))
        survey.add(placed, now)
    _tell(odd, rows, audit, findings)
    return survey


def _note_off_grid(batch: Batch, rows: PlacedRows, odd: _Odd) -> None:
    off = ~batch.on_grid
    if off.any():
        odd.off += int(np.count_nonzero(off))
        for i in np.flatnonzero(off)[: EXAMPLES - len(odd.off_examples)]:
            odd.off_examples.append(f"{shown(rows.series_ids[batch.series[i]])} at {batch.moments[i]}")
            odd.off_moments.append(str(batch.moments[i]))


def _note_texts(batch: Batch, placed: Rows, odd: _Odd) -> None:
    texts = batch.columns["value_text"]
    found: BoolArray = pc.is_valid(texts).to_numpy(zero_copy_only=False)[placed.row]
    odd.texts += int(np.count_nonzero(found))
    for i in np.flatnonzero(found)[: EXAMPLES - len(odd.text_examples)]:
        text = texts[int(placed.row[i])].as_py()
        odd.text_examples.append(f"{shown(text)!r} in {shown(placed.series_ids[placed.series[i]])}")


def _tell(odd: _Odd, rows: PlacedRows, audit: AuditSettings, findings: list[Finding]) -> None:
    ids, doubt = rows.series_ids, Tally()
    again = Tally()
    again.add(rows.again_series, np.ones(len(rows.again), bool))
    doubt.add(rows.again_series, rows.in_doubt)
    for kind, tally, action in (
        ("rows of an hour that came twice", again, "taken as its second time"),
        ("of them among rows in no order of time", doubt, "the later one in the source taken as the second"),
    ):
        if tally.count:
            findings.append(Finding(kind, tally.count, tally.names(ids), action))
    if odd.off:
        grid, total = rows.grid, rows.source.num_rows
        if audit.off_grid is None and 2 * odd.off > total:
            raise InputError(
                f"{odd.off} of {total} timestamps lie off the grid of frequency {grid.frequency!r} in "
                f"{grid.time_zone}: {odd.off_moments}. Set forecast.frequency and forecast.time_zone to the source's "
                "own, or audit.off_grid to floor or leave_out."
            )
        action = "moved back to the step that they fall into" if audit.off_grid == "floor" else "left out"
        findings.append(
            finding("timestamps off the grid", odd.off, odd.off_examples, action, "off_grid", audit.off_grid)
        )
    for kind, count, examples, action, setting, policy in (
        ("texts that are no number", odd.texts, odd.text_examples, NOT_OBSERVED, "non_numeric", audit.non_numeric),
        (INFINITE, odd.infinite.count, odd.infinite.names(ids), NOT_OBSERVED, "infinite", audit.infinite),
        (TOO_LARGE, odd.large.count, odd.large.names(ids), NOT_OBSERVED, "infinite", audit.infinite),
        ("values after now", odd.future.count, odd.future.names(ids), "", "future", audit.future),
    ):
        if count:
            findings.append(finding(kind, count, examples, action, setting, policy))
