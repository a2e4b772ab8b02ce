"""From rows as a source gives them to a panel, with a report of every problem that was found in them."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from models.arrays import IntArray
from models.audit.checks import refused_series, settle_gaps, settle_values
from models.audit.covariates import Covariates, known_future_of, report_unusable, spread, static_of
from models.audit.find_origin import find_origin
from models.audit.findings import EXAMPLES, Finding, Findings, abbreviate
from models.audit.known_future import fill_missing
from models.audit.placement import CountedRows, LaidOut, lay_out
from models.audit.row_stream import PlacedRows, RowBatches, TableBatches
from models.audit.scan import Present, Scan, scan_rows
from models.audit.staleness import late_steps, stale_after
from models.calendar.grid import TimeGrid
from models.errors import InputError
from models.panel.history_summary import Window
from models.panel.panel import Panel
from models.panel.positions import NEVER
from models.settings.audit import AuditSettings
from models.settings.forecast import ForecastSettings

NO_COVARIATES = Covariates()


@dataclass(frozen=True)
class Audit:
    """What was read, and which problems it had.

    Attributes:
        rows_read: Number of rows that the source gave.
        series: Number of series.
        observed: Number of values on the grid up to the cutoff; with `rows_since`, also zeros in place of gaps.
        first: The oldest grid step of any series.
        last: The newest grid step with a value, up to the cutoff.
        cutoff: The last step that the forecast may see.
        findings: All problems that were found.
        late_steps: Whole steps without a value of any series, up to the cutoff if the user named one, else up to now.
        stale: Whether `late_steps` are too many.
        rows_since: Older rows were not read, only their summary; None where all rows were read.
        origin: One step of the grid, from the job or the data; None for the usual grid of the frequency.
    """

    rows_read: int
    series: int
    observed: int
    first: datetime
    last: datetime
    cutoff: datetime
    findings: tuple[Finding, ...]
    late_steps: int = 0
    stale: bool = False
    rows_since: datetime | None = None
    origin: str | None = None

    @property
    def stale_message(self) -> str:
        """The age of the newest value, in words."""
        return (
            f"the newest value of any series is from {self.last:%Y-%m-%d %H:%M} UTC, {self.late_steps} whole steps ago"
        )

    def to_dict(self) -> dict[str, Any]:
        """All attributes, ready for JSON: times as ISO text."""
        return {key: item.isoformat() if isinstance(item, datetime) else item for key, item in asdict(self).items()}


def build_panel(
    rows: pa.Table | RowBatches,
    forecast: ForecastSettings,
    covariates: Covariates = NO_COVARIATES,
    *,
    cutoff: datetime | None,
    now: datetime,
    audit: AuditSettings | None = None,
    window: Window | None = None,
) -> tuple[Panel, Audit]:
    """Lay rows out on the time grid, every series up to the cutoff, and report the problems found in them.

    Args:
        rows: Columns `series_id`, `timestamp`, `value` and the covariates by name; rows in any order. Batches are read
            several times, and memory holds little more than the panel.
        forecast: The grid, the horizon and the bounds.
        covariates: The columns of `rows` that are covariates, and tables with further ones.
        cutoff: The last instant that may be seen; without a zone, it is local time of the job's zone. None for the
            newest observed step. A step that is not over yet is left out either way, unless `audit` keeps it.
        now: The present moment; later values do not count as the newest.
        audit: What to do about each kind of problem; the defaults where None.
        window: Where only the newest rows were read: since when, and a summary of the older ones. Findings then count
            only the rows that were read.

    Returns:
        The panel, without values after the cutoff, and its audit. With a `window` the panel holds the values of the
        window, and of older ones those that the season needs.

    Raises:
        InputError: where there are no rows, most lie off the grid, nothing was observed up to the cutoff, a value that
            must be known ahead is missing, or a policy calls a finding an error. A stale source is not an error
            here; the caller decides.
    """
    if rows.num_rows == 0:
        raise InputError("The source gave no rows; check source.table or source.query, and its filters.")
    findings = Findings(audit or AuditSettings())
    known = None if window is None else window.summary.series_ids
    batches = TableBatches(rows) if isinstance(rows, pa.Table) else rows
    if window is None and forecast.origin is None:
        forecast = forecast.on_grid_of(find_origin(batches, forecast.grid, findings))
    grid = forecast.grid
    placed = PlacedRows(batches, grid, findings.policies.off_grid, known)
    present = Present.at(now, grid, findings.policies)
    scan = scan_rows(placed, present, findings)
    findings.stop_where_fatal()
    asked = None if cutoff is None else _asked_index(grid, cutoff)
    end = _cutoff_index(scan, asked, present, now)
    laid = lay_out(placed, scan, end, forecast, covariates.columns, findings, window)
    if not laid.panel.observed.any():
        raise InputError(
            f"No value was observed up to the cutoff {grid.instant(end)}; the source's rows begin "
            f"{grid.instant(int(scan.first.min()))}. Choose a later cutoff."
        )
    observed = int(np.count_nonzero(laid.panel.observed))
    if scan.newest > end:
        unfinished = asked is None or asked > present.usable
        _report_later(laid.counted, end, present.step if unfinished else NEVER, findings)
    first = int(scan.first_observed.min())
    newest = end - int(laid.panel.silent_steps[laid.panel.observed_counts > 0].min())
    panel = settle_gaps(laid.panel, laid.has_row, newest, findings)
    panel = settle_values(panel, forecast, findings)
    counts, origin = panel.observed_counts, laid.origin
    if window is not None:
        counts, first = window.observed_counts(panel), min(first, int(window.summary.first.min()))
        observed = int(counts.sum())
        panel = window.with_old_values(panel)
        origin = panel.offsets[1:] - 1 - end
    late = late_steps(newest, None if asked is None else end, present.newest_over)
    stale = late > stale_after(grid, findings.policies)
    if stale:
        _report_stale(grid, newest, late, findings)
    laid = replace(laid, panel=panel, origin=origin)
    panel = _with_covariates(laid, counts, covariates, forecast, findings, window)
    account = Audit(
        rows_read=rows.num_rows,
        series=len(panel),
        observed=observed,
        first=grid.instant(first),
        last=grid.instant(newest),
        cutoff=grid.instant(end),
        findings=tuple(findings),
        late_steps=late,
        stale=stale,
        rows_since=None if window is None else grid.instant(window.read_since),
        origin=forecast.origin,
    )
    return panel, account


def _with_covariates(
    laid: LaidOut,
    counts: IntArray,
    covariates: Covariates,
    forecast: ForecastSettings,
    findings: Findings,
    window: Window | None,
) -> Panel:
    """The panel with its covariates, and with the series that the model must not forecast.

    Raises:
        InputError: where a value that must be known ahead is missing, or a policy calls a finding an error.
    """
    panel, counted, origin = laid.panel, laid.counted, laid.origin
    known_future, known_names = known_future_of(counted, origin, panel, covariates, findings)
    refused = refused_series(panel, counts, forecast, findings)
    if known_future is not None:
        refused = fill_missing(known_future, known_names, panel, forecast.missing_future, findings) | refused
    findings.stop_where_fatal()
    categories, numbers = static_of(counted, covariates, findings)
    if window is not None:
        categories, numbers = window.with_old_static(panel.series_ids, categories, numbers)
    past = covariates.observed_past
    panel = replace(
        panel,
        static=categories,
        static_numbers=numbers,
        static_number_names=tuple(covariates.static_numbers),
        known_future=known_future,
        known_future_names=known_names,
        observed_past=spread(counted, origin, panel, past, 0) if past else None,
        observed_past_names=tuple(past),
        refused=refused,
    )
    report_unusable(panel, findings)
    return panel


def _asked_index(grid: TimeGrid, cutoff: datetime) -> int:
    """Grid position of the newest step up to a cutoff."""
    moment = pd.DatetimeIndex([cutoff])
    index, _ = grid.to_index(moment if moment.tz is not None else moment.to_numpy().astype("datetime64[us]"))
    return int(index[0])


def _cutoff_index(scan: Scan, asked: int | None, present: Present, now: datetime) -> int:
    """Grid position of the cutoff: the one asked for, or the newest observed step; neither is after the usable ones."""
    if asked is not None:
        return min(asked, present.usable)
    if scan.newest_usable == NEVER:
        raise InputError(
            f"The source holds no observed value of a step that is over now, {now.isoformat()}; check source.value, "
            "or set audit.unfinished to keep."
        )
    return scan.newest_usable


def _report_later(counted: CountedRows, end: int, unfinished_step: int, findings: Findings) -> None:
    """Report the values after the cutoff, and apart from them those of the step that is not over yet."""
    unfinished, later = np.zeros((2, len(counted.series_ids)), np.int64)
    for placed, _ in counted.parts():
        after = (placed.index > end) & ~np.isnan(placed.value)
        now = after & (placed.index == unfinished_step)
        unfinished += np.bincount(placed.series[now], minlength=len(unfinished))
        later += np.bincount(placed.series[after & ~now], minlength=len(later))
    for kind, times, action, setting in (
        ("values of the step that is not over yet", unfinished, "left out until it is over", "audit.unfinished"),
        ("values after the cutoff", later, "not used", ""),
    ):
        if times.any():
            names = [abbreviate(counted.series_ids[each]) for each in np.flatnonzero(times)[:EXAMPLES]]
            findings.add(kind, int(times.sum()), names, action, setting)


def _report_stale(grid: TimeGrid, newest: int, late: int, findings: Findings) -> None:
    """Report a stale source; never fatal here, since the night still opens an alert before it stops."""
    examples = [f"none since {grid.instant(newest):%Y-%m-%dT%H:%MZ}"]
    action = "stops the night" if findings.policies.stale == "error" else "the source is stale, which opens an alert"
    findings.add("steps without a value of any series", late, examples, action, "audit.stale")
