"""The first pass over all rows: the range of each series, and the problems that single rows have."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from models.arrays import BoolArray, IntArray
from models.audit.findings import CHANGED, EXAMPLES, KEPT_CHANGED, NOT_OBSERVED, Findings, abbreviate
from models.audit.row_stream import Batch, PlacedRows
from models.audit.rows import INFINITE, TOO_LARGE, Rows, Tally, non_finite
from models.calendar.grid import TimeGrid
from models.errors import InputError
from models.panel.positions import LATEST, NEVER
from models.settings.audit import AuditSettings


class Present(NamedTuple):
    """The present moment on the grid.

    Attributes:
        step: Grid position of the step in which it lies.
        newest_over: Grid position of the newest step that is over.
        usable: Grid position of the newest step whose values a night may see: one that is over, unless the job says
            otherwise.
    """

    step: int
    newest_over: int
    usable: int

    @classmethod
    def at(cls, now: datetime, grid: TimeGrid, policies: AuditSettings) -> Present:
        """The present on a grid."""
        step = int(grid.containing(pd.DatetimeIndex([now]))[0][0])
        over = grid.newest_over(now, weekends=policies.off_grid == "floor")
        return cls(step, over, step if policies.unfinished == "keep" else over)


@dataclass
class Scan:
    """The range of the rows on the grid.

    Attributes:
        first, last: Shape (series,), grid positions of the oldest and the newest row; LATEST and NEVER where a series
            has none.
        first_observed: Shape (series,), grid position of the oldest row with a value; LATEST where there is none.
        newest_usable: Grid position of the newest value that a night may see now; NEVER where there is none.
        newest: Grid position of the newest value; NEVER where there is none.
        rows: Number of rows.
        observed: Number of rows with a value.
    """

    first: IntArray
    last: IntArray
    first_observed: IntArray
    newest_usable: int = NEVER
    newest: int = NEVER
    rows: int = 0
    observed: int = 0

    def add(self, placed: Rows, usable: int) -> None:
        """Add some rows; `usable` is the newest grid position that a night may see now."""
        np.minimum.at(self.first, placed.series, placed.index)
        np.maximum.at(self.last, placed.series, placed.index)
        seen = ~np.isnan(placed.value)
        series, index = (placed.series, placed.index) if seen.all() else (placed.series[seen], placed.index[seen])
        np.minimum.at(self.first_observed, series, index)
        self.newest = max(self.newest, int(index.max(initial=NEVER)))
        self.newest_usable = max(self.newest_usable, int(index.max(initial=NEVER, where=index <= usable)))
        self.rows += len(placed.index)
        self.observed += len(index)


@dataclass
class _Problems:
    """The problems of single rows, counted batch by batch."""

    off_grid: int = 0
    off_grid_examples: list[str] = field(default_factory=list)
    off_grid_moments: list[str] = field(default_factory=list)
    outside: Tally = field(default_factory=Tally)
    texts: int = 0
    text_examples: list[str] = field(default_factory=list)
    infinite: Tally = field(default_factory=Tally)
    large: Tally = field(default_factory=Tally)
    future: Tally = field(default_factory=Tally)


def scan_rows(rows: PlacedRows, present: Present, findings: Findings) -> Scan:
    """Read all rows once.

    Args:
        rows: The rows; a column `value_text`, if there is one, holds the texts that stand in place of numbers.
        present: Which steps are over.
        findings: Problems are added here.

    Raises:
        InputError: where most timestamps lie off the grid, and no policy says what to do about them.
    """
    count = len(rows.series_ids)
    scan = Scan(np.full(count, LATEST), np.full(count, NEVER), np.full(count, LATEST))
    problems = _Problems()
    texts = ("value_text",) if "value_text" in rows.source.column_names else ()
    for batch in rows.read(texts):
        _count_off_grid(batch, rows, problems)
        placed = rows.kept(batch)
        if texts:
            _count_texts(batch, placed, problems)
        infinite, large = non_finite(batch.value[placed.row])
        problems.infinite.add(placed.series, infinite)
        problems.large.add(placed.series, large)
        if findings.policies.future == "error":
            problems.future.add(placed.series, (placed.index > present.step) & ~np.isnan(placed.value))
        scan.add(placed, present.usable)
    _report_changed_ids(rows, findings)
    _report_second_hours(rows, findings)
    _report_off_grid(rows, problems, findings)
    _report_values(rows, problems, findings)
    return scan


def _count_off_grid(batch: Batch, rows: PlacedRows, problems: _Problems) -> None:
    outside = np.isnat(batch.moments)
    problems.outside.add(batch.series, outside)
    off = ~batch.on_grid & ~outside
    if off.any():
        problems.off_grid += int(np.count_nonzero(off))
        for i in np.flatnonzero(off)[: EXAMPLES - len(problems.off_grid_examples)]:
            name = abbreviate(rows.series_ids[batch.series[i]])
            problems.off_grid_examples.append(f"{name} at {batch.moments[i]}")
            problems.off_grid_moments.append(str(batch.moments[i]))


def _count_texts(batch: Batch, placed: Rows, problems: _Problems) -> None:
    texts = batch.columns["value_text"]
    is_text: BoolArray = pc.is_valid(texts).to_numpy(zero_copy_only=False)[placed.row]
    problems.texts += int(np.count_nonzero(is_text))
    for i in np.flatnonzero(is_text)[: EXAMPLES - len(problems.text_examples)]:
        text = texts[int(placed.row[i])].as_py()
        problems.text_examples.append(f"{abbreviate(text)!r} in {abbreviate(placed.series_ids[placed.series[i]])}")


def _report_changed_ids(rows: PlacedRows, findings: Findings) -> None:
    changed = np.flatnonzero(pc.match_substring_regex(pa.array(rows.series_ids), CHANGED))
    if len(changed):
        names = [abbreviate(name) for name in rows.series_ids[changed[:EXAMPLES]]]
        findings.add("series ids that not every database can hold", len(changed), names, KEPT_CHANGED)


def _report_second_hours(rows: PlacedRows, findings: Findings) -> None:
    second, doubtful = Tally(), Tally()
    second.add(rows.second_hours.series, np.ones(len(rows.second_hours.row), bool))
    doubtful.add(rows.second_hours.series, rows.second_hours.in_doubt)
    for kind, tally, action in (
        ("rows of a repeated local hour", second, "placed in the second of the two hours"),
        ("rows of a repeated local hour in no order of time", doubtful, "the later one in the source is the second"),
    ):
        if tally.count:
            findings.add(kind, tally.count, tally.examples(rows.series_ids), action)


def _report_off_grid(rows: PlacedRows, problems: _Problems, findings: Findings) -> None:
    if problems.outside.count:
        kind = "timestamps that are infinite or outside the years 1678 to 2261"
        findings.add(kind, problems.outside.count, problems.outside.examples(rows.series_ids), "ignored")
    count, grid, total = problems.off_grid, rows.grid, rows.source.num_rows
    if not count:
        return
    policy = findings.policies.off_grid
    if policy is None and 2 * count > total:
        raise InputError(
            f"{count} of {total} timestamps lie off the grid of frequency {grid.frequency!r} in {grid.time_zone}: "
            f"{problems.off_grid_moments}. Set forecast.frequency and forecast.time_zone to those of the source; or "
            "audit.off_grid to floor, which moves each into its step, or to leave_out; or forecast.origin to the "
            "beginning of one step, such as a day at six in the morning."
        )
    floored = f"moved to the {'last day' if grid.rule.at_end else 'beginning'} of their step"
    action = floored if policy == "floor" else "ignored"
    findings.add_by_policy("off_grid", "timestamps off the grid", count, problems.off_grid_examples, action)


def _report_values(rows: PlacedRows, problems: _Problems, findings: Findings) -> None:
    ids = rows.series_ids
    for policy, kind, count, examples in (
        ("non_numeric", "values that are text", problems.texts, problems.text_examples),
        ("infinite", INFINITE, problems.infinite.count, problems.infinite.examples(ids)),
        ("infinite", TOO_LARGE, problems.large.count, problems.large.examples(ids)),
        ("future", "values after now", problems.future.count, problems.future.examples(ids)),
    ):
        if count:
            # Values after now are counted only where they stop the night.
            findings.add_by_policy(policy, kind, count, examples, NOT_OBSERVED)
