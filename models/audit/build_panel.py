"""From rows as a database gives them to a panel, with an account of everything that was odd."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from models.audit.checks import refused_series, with_gaps_settled, with_values_settled
from models.audit.covariates import known_ahead, spread, static_of
from models.audit.findings import EXAMPLES, Finding, shown, stop_where_fatal
from models.audit.known_future import fill_missing
from models.audit.placement import CountedRows, lay_out
from models.audit.row_stream import PlacedRows, RowBatches, TableBatches
from models.audit.scan import Survey, take_survey
from models.audit.staleness import late_steps, stale_after
from models.calendar.grid import TimeGrid
from models.errors import InputError
from models.panel.history_summary import Window
from models.panel.panel import Panel
from models.panel.positions import NEVER
from models.settings.audit import AuditSettings
from models.settings.forecast import ForecastSettings


@dataclass(frozen=True)
class Audit:
    """What was read, and what was odd about it.

    Attributes:
        rows_read: Rows that the source gave.
        series: Number of series.
        observed: Values on the grid, not after the cutoff; with `rows_since`, zeros that stand in gaps among them.
        first: The oldest grid step of any series.
        last: The newest grid step with a value, not after the cutoff.
        cutoff: The last step that the forecast may see.
        findings: Everything odd.
        late_steps: Whole steps without a value of any series, up to the cutoff that was asked for or else to now.
        stale: Whether these are too many.
        rows_since: Only rows from this step on were read, and what is older is known in sum; None where all were.
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

    @property
    def stale_message(self) -> str:
        """What is too old, in words."""
        return (
            f"the newest value of any series is of {self.last:%Y-%m-%d %H:%M} UTC; {self.late_steps} whole steps have "
            "passed without one since"
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON-able, times as ISO text."""
        return {key: item.isoformat() if isinstance(item, datetime) else item for key, item in asdict(self).items()}


def build_panel(
    rows: pa.Table | RowBatches,
    forecast: ForecastSettings,
    *,
    static: Sequence[str] = (),
    static_numbers: Sequence[str] = (),
    known_future: Sequence[str] = (),
    observed_past: Sequence[str] = (),
    known_elsewhere: Sequence[pa.Table] = (),
    cutoff: datetime | None,
    now: datetime,
    audit: AuditSettings | None = None,
    window: Window | None = None,
) -> tuple[Panel, Audit]:
    """Put rows on the time grid, every series up to the cutoff, and say what was odd.

    Args:
        rows: Columns `series_id`, `timestamp`, `value` and the covariates by name, in any order of rows. Batches are
            gone through a few times, and of all rows nothing is in memory but a bit more than the panel.
        forecast: The grid, the horizon and the bounds.
        static: Columns with one category per series.
        static_numbers: Columns with one number per series.
        known_future: Number columns known up to `horizon` steps past the cutoff.
        observed_past: Number columns known up to the cutoff.
        known_elsewhere: Tables of more known-future columns, see `spread_known`.
        cutoff: The last instant that may be seen; without a zone, meant in the job's zone. None for the
            newest observed step.
        now: No value after it is taken for the newest.
        audit: What to do about each kind of dirt; the defaults where None.
        window: Where only the newest rows were read: since when, and what the older ones hold in sum. Counts of dirt
            are then of the rows that were read.

    Returns:
        The panel and its audit. Values after the cutoff are not in the panel. With a `window`, its end is that of the
        whole panel; of what is older it holds the values that the season needs.

    Raises:
        InputError: where there are no rows, most lie off the grid, nothing was observed up to the cutoff,
            what must be known ahead is not, or something was found that a policy calls an error. A stale source
            is for the caller to judge.
    """
    if rows.num_rows == 0:
        raise InputError("The source gave no rows; check source.table or source.query, and its filters.")
    grid, policies = forecast.grid, audit or AuditSettings()
    findings: list[Finding] = []
    known = None if window is None else window.summary.series_ids
    placed = PlacedRows(TableBatches(rows) if isinstance(rows, pa.Table) else rows, grid, policies.off_grid, known)
    survey = take_survey(placed, grid.position(now), findings, policies)
    stop_where_fatal(findings)
    end = _cutoff_index(grid, survey, cutoff, now)
    names = [*static, *static_numbers, *known_future, *observed_past]
    panel, place, has_row, counted = lay_out(
        placed, survey, end, forecast, names, findings, policies.duplicates, window
    )
    observed = int(np.count_nonzero(panel.observed))
    if not observed:
        raise InputError(
            f"No value was observed up to the cutoff {grid.instant(end)}; the source's rows begin "
            f"{grid.instant(int(survey.first.min()))}. Choose a later cutoff."
        )
    if survey.newest > end:
        _tell_of_later(counted, end, findings)
    first, newest = int(survey.first_observed.min()), end - int(panel.silent_steps[panel.observed_counts > 0].min())
    panel = with_gaps_settled(panel, has_row, newest, policies, findings)
    panel = with_values_settled(panel, forecast, policies, findings)
    counts = panel.observed_counts
    if window is not None:
        counts, first = window.observed_counts(panel), min(first, int(window.summary.first.min()))
        observed = int(counts.sum())
        panel = window.with_old_values(panel)
        place = panel.offsets[1:] - 1 - end
    late = late_steps(grid, newest, None if cutoff is None else end, now)
    stale = late > stale_after(grid, policies)
    if stale:
        since = (f"none since {grid.instant(newest):%Y-%m-%dT%H:%MZ}",)
        action = "stops the night" if policies.stale == "error" else "the source is stale: an alert"
        findings.append(Finding("steps without a value of any series", late, since, action, "audit.stale"))
    ahead, known_names = known_ahead(counted, place, panel, known_future, known_elsewhere, findings)
    refused = refused_series(panel, counts, forecast, policies, findings)
    if ahead is not None:
        refused = fill_missing(ahead, known_names, panel, forecast.missing_future, findings) | refused
    stop_where_fatal(findings)
    categories, numbers = static_of(counted, static, static_numbers, findings)
    if window is not None:
        categories, numbers = window.with_old_static(panel.series_ids, categories, numbers)
    panel = replace(
        panel,
        static=categories,
        static_numbers=numbers,
        static_number_names=tuple(static_numbers),
        known_future=ahead,
        known_future_names=known_names,
        observed_past=spread(counted, place, panel, observed_past, 0) if observed_past else None,
        observed_past_names=tuple(observed_past),
        refused=refused,
    )
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
    )
    return panel, account


def _cutoff_index(grid: TimeGrid, survey: Survey, cutoff: datetime | None, now: datetime) -> int:
    """Grid position of the cutoff: the newest step not after it, or the newest observed one."""
    if cutoff is not None:
        moment = pd.DatetimeIndex([cutoff])
        index, _ = grid.to_index(moment if moment.tz is not None else moment.to_numpy().astype("datetime64[us]"))
        return int(index[0])
    if survey.newest_by_now == NEVER:
        raise InputError(f"The source holds no observed value up to now, {now.isoformat()}; check source.value.")
    return survey.newest_by_now


def _tell_of_later(counted: CountedRows, end: int, findings: list[Finding]) -> None:
    """Say how many values lie after the cutoff."""
    times = np.zeros(len(counted.series_ids), np.int64)
    for placed, _ in counted.parts():
        later = (placed.index > end) & ~np.isnan(placed.value)
        times += np.bincount(placed.series[later], minlength=len(times))
    names = tuple(shown(counted.series_ids[each]) for each in np.flatnonzero(times)[:EXAMPLES])
    findings.append(Finding("values after the cutoff", int(times.sum()), names, "not seen"))
