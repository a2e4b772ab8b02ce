"""From rows as a database gives them to a panel, with an account of everything that was odd."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from models.covariates import flat_places, known_ahead, newest_numbers, spread, static_categories
from models.duplicates import without_duplicates
from models.errors import InputError
from models.findings import Finding, finding, shown, stop_where_fatal
from models.known_future import fill_missing
from models.panel import Panel
from models.panel_checks import refused_series, with_gaps_settled, with_values_settled
from models.rows import PART, BoolArray, IntArray, Rows, place_on_grid, without_infinities, without_text
from models.settings import AuditSettings, ForecastSettings
from models.staleness import late_steps, stale_after
from models.time_grid import TimeGrid

# A step takes four bytes; fewer than these are never too many.
MANY_STEPS, STEPS_PER_VALUE = 50_000_000, 1_000


@dataclass(frozen=True)
class Audit:
    """What was read, and what was odd about it.

    Attributes:
        rows_read: Rows that the source gave.
        series: Number of series.
        observed: Values on the grid, not after the cutoff.
        first: The oldest grid step of any series.
        last: The newest grid step with a value, not after the cutoff.
        cutoff: The last step that the forecast may see.
        findings: Everything odd.
        late_steps: Whole steps without a value of any series, up to the cutoff that was asked for or else to now.
        stale: Whether these are too many.
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
    rows: pa.Table,
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
) -> tuple[Panel, Audit]:
    """Put rows on the time grid, every series up to the cutoff, and say what was odd.

    Args:
        rows: Columns `series_id`, `timestamp`, `value` and the covariates by name, in any order of rows.
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

    Returns:
        The panel and its audit. Values after the cutoff are not in the panel.

    Raises:
        InputError: where there are no rows, most lie off the grid, nothing was observed up to the cutoff,
            what must be known ahead is not, or something was found that a policy calls an error. A stale source
            is for the caller to judge.
    """
    if rows.num_rows == 0:
        raise InputError("The source gave no rows; check source.table or source.query, and its filters.")
    grid, policies = TimeGrid(forecast.frequency, forecast.time_zone), audit or AuditSettings()
    findings: list[Finding] = []
    placed = place_on_grid(rows, grid, findings, policies)
    without_text(placed, rows, findings, policies.non_numeric)
    placed = without_infinities(placed, findings, policies.infinite)
    _stop_at_future(grid, placed, now, policies, findings)
    stop_where_fatal(findings)
    end = _cutoff_index(grid, placed, cutoff, now)
    placed = without_duplicates(placed, grid, findings, policies.duplicates)
    past = placed.take((placed.index <= end) & ~np.isnan(placed.value))
    if not len(past.index):
        raise InputError(
            f"No value was observed up to the cutoff {grid.instant(end)}; the source's rows begin "
            f"{grid.instant(int(placed.index.min()))}. Choose a later cutoff."
        )
    panel, place = _lay_out(past, placed, end, grid, forecast)
    later = (placed.index > end) & ~np.isnan(placed.value)
    if later.any():
        findings.append(Finding("values after the cutoff", int(later.sum()), placed.names(later), "not seen"))
    newest = int(past.index.max())
    panel = with_gaps_settled(panel, _has_row(placed, place, panel), newest, policies, findings)
    panel = with_values_settled(panel, forecast, policies, findings)
    late = late_steps(grid, newest, None if cutoff is None else end, now)
    stale = late > stale_after(grid, policies)
    if stale:
        since = (f"none since {grid.instant(newest):%Y-%m-%dT%H:%MZ}",)
        action = "stops the night" if policies.stale == "error" else "the source is stale: an alert"
        findings.append(Finding("steps without a value of any series", late, since, action, "audit.stale"))
    known, known_names = known_ahead(rows, placed, place, panel, known_future, known_elsewhere, findings)
    refused = refused_series(panel, forecast, policies, findings)
    if known is not None:
        refused = fill_missing(known, known_names, panel, forecast.missing_future, findings) | refused
    stop_where_fatal(findings)
    panel = replace(
        panel,
        static=static_categories(rows, placed, static, findings),
        static_numbers=newest_numbers(rows, placed, static_numbers, findings),
        static_number_names=tuple(static_numbers),
        known_future=known,
        known_future_names=known_names,
        observed_past=spread(rows, placed, place, panel, observed_past, 0) if observed_past else None,
        observed_past_names=tuple(observed_past),
        refused=refused,
    )
    first = int(past.index.min())
    account = Audit(
        rows_read=rows.num_rows,
        series=len(panel),
        observed=len(past.index),
        first=grid.instant(first),
        last=grid.instant(newest),
        cutoff=grid.instant(end),
        findings=tuple(findings),
        late_steps=late,
        stale=stale,
    )
    return panel, account


def _stop_at_future(grid: TimeGrid, placed: Rows, now: datetime, audit: AuditSettings, findings: list[Finding]) -> None:
    """Note values after now where the policy calls them an error; else they are not seen, as all after the cutoff."""
    if audit.future == "error":
        future = (placed.index > grid.position(now)) & ~np.isnan(placed.value)
        if future.any():
            names = placed.names(future)
            findings.append(finding("values after now", int(future.sum()), names, "", "future", audit.future))


def _has_row(placed: Rows, place: IntArray, panel: Panel) -> BoolArray:
    """Shape (total,): where the source has a row, with or without a value."""
    flat, inside = flat_places(placed, place, panel, 0)
    has_row = np.zeros(len(panel.values), bool)
    has_row[flat[inside]] = True
    return has_row


def _cutoff_index(grid: TimeGrid, placed: Rows, cutoff: datetime | None, now: datetime) -> int:
    """Grid position of the cutoff: the newest step not after it, or the newest observed one."""
    if cutoff is not None:
        moment = pd.DatetimeIndex([cutoff])
        index, _ = grid.to_index(moment if moment.tz is not None else moment.to_numpy().astype("datetime64[us]"))
        return int(index[0])
    seen = placed.index[(placed.index <= grid.position(now)) & ~np.isnan(placed.value)]
    if not len(seen):
        raise InputError(f"The source holds no observed value up to now, {now.isoformat()}; check source.value.")
    return int(seen.max())


def _lay_out(past: Rows, placed: Rows, end: int, grid: TimeGrid, forecast: ForecastSettings) -> tuple[Panel, IntArray]:
    """The flat panel of values, and for each series the flat place of grid position 0."""
    count = len(placed.series_ids)
    first = np.full(count, end + 1, np.int64)
    np.minimum.at(first, past.series, past.index)
    offsets = np.concatenate([[0], np.cumsum(end + 1 - first)]).astype(np.int64)
    if offsets[-1] > max(MANY_STEPS, STEPS_PER_VALUE * len(past.index)):
        longest = int(np.argmin(first))
        raise InputError(
            f"{len(past.index)} values lie on {offsets[-1]} steps of {grid.frequency!r}: "
            f"{shown(placed.series_ids[longest])} begins {grid.instant(int(first[longest])):%Y-%m-%d}. "
            "Leave placeholder dates out with a query, or set forecast.frequency to the source's own."
        )
    place = offsets[:-1] - first
    values = np.full(int(offsets[-1]), np.nan, np.float32)
    for begin in range(0, len(past.index), PART):
        part = slice(begin, begin + PART)
        values[place[past.series[part]] + past.index[part]] = past.value[part]
    panel = Panel(
        values=values,
        offsets=offsets,
        series_ids=placed.series_ids,
        frequency=forecast.frequency,
        time_zone=forecast.time_zone,
        cutoff_index=end,
        season_lengths=tuple(sorted(forecast.season_lengths or grid.default_season_lengths)),
        horizon=forecast.horizon,
        holidays=tuple(forecast.holidays),
    )
    return panel, place
