"""From rows to the flat panel: rows that are alone on their place at once, the others after settling duplicates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from models.arrays import BoolArray, IntArray, StringArray
from models.audit.duplicates import without_duplicates
from models.audit.findings import Findings, abbreviate
from models.audit.occupancy import Occupancy
from models.audit.row_stream import PlacedRows
from models.audit.rows import Rows, concatenate
from models.audit.scan import Scan
from models.errors import InputError
from models.panel.history_summary import Window
from models.panel.panel import Panel
from models.settings.forecast import ForecastSettings

# A step takes four bytes. A panel of MANY_STEPS is always allowed; a larger one only with at most STEPS_PER_VALUE steps
# for each value.
MANY_STEPS, STEPS_PER_VALUE = 50_000_000, 1_000


@dataclass(frozen=True)
class CountedRows:
    """The rows that count: one for each place of the grid.

    Attributes:
        rows: All rows.
        occupancy: Which of them are alone on their place.
        settled: One row for each of the other places; None where there is none.
        columns: The covariates of `settled`, whose `row` are rows of this table.
    """

    rows: PlacedRows
    occupancy: Occupancy
    settled: Rows | None
    columns: pa.Table | None

    @property
    def series_ids(self) -> StringArray:
        """Sorted ids of all series."""
        return self.rows.series_ids

    def parts(self, names: Sequence[str] = ()) -> Iterator[tuple[Rows, pa.RecordBatch | pa.Table]]:
        """All rows that count, some at a time, each part with the batch or table of its named columns."""
        for batch in self.rows.read(names):
            placed = self.rows.kept(batch)
            yield placed.take(self.occupancy.is_single(placed)), batch.columns
        if self.settled is not None:
            yield self.settled, self.columns


@dataclass(frozen=True)
class LaidOut:
    """The rows as a panel, without covariates.

    Attributes:
        panel: The values up to the cutoff.
        origin: Shape (series,), the flat place in `panel.values` of grid position 0 of each series; it may lie outside.
        has_row: Shape (total,), whether the source has a row for a value of the panel.
        counted: The rows that count.
    """

    panel: Panel
    origin: IntArray
    has_row: BoolArray
    counted: CountedRows


def lay_out(
    rows: PlacedRows,
    scan: Scan,
    end: int,
    forecast: ForecastSettings,
    names: Sequence[str],
    findings: Findings,
    window: Window | None = None,
) -> LaidOut:
    """Lay the values of all rows out as a panel that ends at a cutoff.

    Args:
        rows: All rows.
        scan: Their range.
        end: Grid position of the cutoff.
        forecast: The grid, and the other settings of a panel.
        names: Columns of covariates.
        findings: Problems with rows of one place are added here.
        window: Where older rows were not read: series that had begun before the window begin with it.

    Raises:
        InputError: where few values lie on far too many steps, or as `without_duplicates`.
    """
    first = np.minimum(scan.first_observed, end + 1)
    if window is not None:
        first = np.minimum(first, window.starts(rows.series_ids))
    offsets = np.concatenate([[0], np.cumsum(end + 1 - first)]).astype(np.int64)
    if offsets[-1] > max(MANY_STEPS, STEPS_PER_VALUE * scan.observed):
        _refuse_wide(rows, scan, first, int(offsets[-1]))
    origin = offsets[:-1] - first
    values = np.full(int(offsets[-1]), np.nan, np.float32)
    occupancy = _occupancy(scan, first, end)
    for batch in rows.read():
        placed = rows.kept(batch)
        occupancy.add(placed)
        seen = placed.take((placed.index <= end) & ~np.isnan(placed.value))
        values[origin[seen.series] + seen.index] = seen.value
    counted = _settle(rows, scan, occupancy, names, findings)
    if counted.settled is not None:
        inside = (counted.settled.index >= first[counted.settled.series]) & (counted.settled.index <= end)
        kept = counted.settled.take(inside)
        values[origin[kept.series] + kept.index] = kept.value
    panel = Panel(
        values=values,
        offsets=offsets,
        series_ids=rows.series_ids,
        frequency=forecast.frequency,
        time_zone=forecast.time_zone,
        week_label=forecast.week_label,
        origin=forecast.origin,
        cutoff_index=end,
        season_lengths=tuple(sorted(forecast.season_lengths or rows.grid.default_season_lengths)),
        horizon=forecast.horizon,
        holidays=tuple(forecast.holidays),
    )
    return LaidOut(panel, origin, occupancy.has_row(first, end), counted)


def _occupancy(scan: Scan, first: IntArray, end: int) -> Occupancy:
    """Places for all rows; where a stray date would make too many places, only those of the panel."""
    last = np.where(scan.first <= scan.last, np.maximum(scan.last, end), scan.last)
    if np.maximum(last - scan.first + 1, 0).sum() <= max(MANY_STEPS, 4 * scan.rows):
        return Occupancy(scan.first, last)
    return Occupancy(first, np.full(len(first), end))


def _settle(
    rows: PlacedRows, scan: Scan, occupancy: Occupancy, names: Sequence[str], findings: Findings
) -> CountedRows:
    """Read again the rows that are not alone on their place, and settle which one counts."""
    single = occupancy.count_single()
    if single == scan.rows:
        return CountedRows(rows, occupancy, None, None)
    found, columns = list[Rows](), list[pa.RecordBatch]()
    for batch in rows.read(names):
        placed = rows.kept(batch)
        several = placed.take(~occupancy.is_single(placed))
        found.append(several)
        columns.append(batch.columns.select(list(names)).take(pa.array(several.row)))
    settled = without_duplicates(concatenate(found), rows.grid, findings, single)
    return CountedRows(rows, occupancy, settled, pa.Table.from_batches(columns))


def _refuse_wide(rows: PlacedRows, scan: Scan, first: IntArray, steps: int) -> None:
    longest = int(np.argmin(first))
    raise InputError(
        f"{scan.observed} values lie on {steps} steps of {rows.grid.frequency!r}: "
        f"{abbreviate(rows.series_ids[longest])} begins {rows.grid.instant(int(first[longest])):%Y-%m-%d}. "
        "Leave out placeholder dates with a query, or set forecast.frequency to that of the source."
    )
