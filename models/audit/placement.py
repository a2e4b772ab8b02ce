"""From placed rows to the flat panel, each place once: rows alone on their place at once, the others with care."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from models.arrays import BoolArray, IntArray
from models.audit.duplicates import without_duplicates
from models.audit.findings import Finding, shown
from models.audit.occupancy import Occupancy
from models.audit.row_stream import PlacedRows
from models.audit.rows import Rows, together
from models.audit.scan import Survey
from models.errors import InputError
from models.panel.history_summary import Window
from models.panel.panel import Panel
from models.settings.forecast import ForecastSettings

# A step takes four bytes; fewer than these are never too many.
MANY_STEPS, STEPS_PER_VALUE = 50_000_000, 1_000


@dataclass(frozen=True)
class CountedRows:
    """The rows that count, each place of the grid once.

    Attributes:
        rows: All rows.
        occupancy: Which of them are alone on their place.
        settled: What counts of the others, as one row for each place.
        columns: The covariates of these: `settled.row` are rows of this table.
    """

    rows: PlacedRows
    occupancy: Occupancy
    settled: Rows | None
    columns: pa.Table | None

    @property
    def series_ids(self) -> IntArray:
        return self.rows.series_ids

    def parts(self, names: Sequence[str] = ()) -> Iterator[tuple[Rows, pa.RecordBatch | pa.Table]]:
        """All of them, some at a time, with a batch or table of some columns; `row` are places in it."""
        for batch in self.rows.read(names):
            placed = self.rows.kept(batch)
            yield placed.take(self.occupancy.alone(placed)), batch.columns
        if self.settled is not None:
            yield self.settled, self.columns


def lay_out(
    rows: PlacedRows,
    survey: Survey,
    end: int,
    forecast: ForecastSettings,
    names: Sequence[str],
    findings: list[Finding],
    duplicates: str | None,
    window: Window | None = None,
) -> tuple[Panel, IntArray, BoolArray, CountedRows]:
    """The flat panel of values up to a cutoff.

    Args:
        rows: All rows.
        survey: What they reach.
        end: Grid position of the cutoff.
        forecast: The grid and what else a panel is made of.
        names: Columns of covariates.
        findings: What was odd about rows of one place is added here.
        duplicates: What counts of these, see `without_duplicates`.
        window: Where older rows were not read: series that had begun before begin where it does.

    Returns:
        The panel; for each series the flat place of grid position 0; where the source has a row, shape (total,);
        and the rows that count.

    Raises:
        InputError: where few values lie on far too many steps, or as `without_duplicates`.
    """
    first = np.minimum(survey.first_observed, end + 1)
    if window is not None:
        first = np.minimum(first, window.starts(rows.series_ids))
    offsets = np.concatenate([[0], np.cumsum(end + 1 - first)]).astype(np.int64)
    if offsets[-1] > max(MANY_STEPS, STEPS_PER_VALUE * survey.observed):
        _refuse_wide(rows, survey, first, int(offsets[-1]))
    place = offsets[:-1] - first
    values = np.full(int(offsets[-1]), np.nan, np.float32)
    occupancy = _occupancy_of(survey, first, end)
    for batch in rows.read():
        placed = rows.kept(batch)
        occupancy.add(placed)
        seen = placed.take((placed.index <= end) & ~np.isnan(placed.value))
        values[place[seen.series] + seen.index] = seen.value
    counted = _settled(rows, survey, occupancy, names, findings, duplicates)
    if counted.settled is not None:
        inside = (counted.settled.index >= first[counted.settled.series]) & (counted.settled.index <= end)
        kept = counted.settled.take(inside)
        values[place[kept.series] + kept.index] = kept.value
    grid = rows.grid
    panel = Panel(
        values=values,
        offsets=offsets,
        series_ids=rows.series_ids,
        frequency=forecast.frequency,
        time_zone=forecast.time_zone,
        cutoff_index=end,
        season_lengths=tuple(sorted(forecast.season_lengths or grid.default_season_lengths)),
        horizon=forecast.horizon,
        holidays=tuple(forecast.holidays),
    )
    return panel, place, occupancy.has_row(first, end), counted


def _occupancy_of(survey: Survey, first: IntArray, end: int) -> Occupancy:
    """Places for all rows; for those of the panel alone where a stray date would make too many of them."""
    last = np.where(survey.first <= survey.last, np.maximum(survey.last, end), survey.last)
    if np.maximum(last - survey.first + 1, 0).sum() <= max(MANY_STEPS, 4 * survey.rows):
        return Occupancy(survey.first, last)
    return Occupancy(first, np.full(len(first), end))


def _settled(
    rows: PlacedRows,
    survey: Survey,
    occupancy: Occupancy,
    names: Sequence[str],
    findings: list[Finding],
    duplicates: str | None,
) -> CountedRows:
    """Look again at the rows that are not alone on their place, in full detail, and settle what counts of them."""
    alone = occupancy.count_alone()
    if alone == survey.rows:
        return CountedRows(rows, occupancy, None, None)
    found, columns = list[Rows](), list[pa.RecordBatch]()
    for batch in rows.read(names):
        placed = rows.kept(batch)
        several = placed.take(~occupancy.alone(placed))
        found.append(several)
        columns.append(batch.columns.select(list(names)).take(pa.array(several.row)))
    settled = without_duplicates(together(found), rows.grid, findings, duplicates, alone)
    return CountedRows(rows, occupancy, settled, pa.Table.from_batches(columns))


def _refuse_wide(rows: PlacedRows, survey: Survey, first: IntArray, steps: int) -> None:
    longest = int(np.argmin(first))
    raise InputError(
        f"{survey.observed} values lie on {steps} steps of {rows.grid.frequency!r}: "
        f"{shown(rows.series_ids[longest])} begins {rows.grid.instant(int(first[longest])):%Y-%m-%d}. "
        "Leave placeholder dates out with a query, or set forecast.frequency to the source's own."
    )
