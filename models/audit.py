"""From rows as a database gives them to a panel, with an account of everything that was odd."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from models.errors import InputError
from models.known_future import fill_missing, spread_known
from models.panel import Panel
from models.panel_checks import refused_series, with_gaps_settled, with_values_settled
from models.rows import (
    PART,
    BoolArray,
    Finding,
    IntArray,
    Rows,
    finding,
    instant_of,
    place_on_grid,
    shown,
    stop_where_fatal,
    without_duplicates,
    without_infinities,
    without_text,
)
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
            f"No value was observed up to the cutoff {instant_of(grid, end)}; the source's rows begin "
            f"{instant_of(grid, int(placed.index.min()))}. Choose a later cutoff."
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
        since = (f"none since {instant_of(grid, newest):%Y-%m-%dT%H:%MZ}",)
        action = "stops the night" if policies.stale == "error" else "the source is stale: an alert"
        findings.append(Finding("steps without a value of any series", late, since, action, "audit.stale"))
    known, known_names = _known_future(rows, placed, place, panel, known_future, known_elsewhere, findings)
    refused = refused_series(panel, forecast, policies, findings)
    if known is not None:
        refused = fill_missing(known, known_names, panel, forecast.missing_future, findings) | refused
    stop_where_fatal(findings)
    panel = replace(
        panel,
        static=_static(rows, placed, static, findings),
        static_numbers=_static_numbers(rows, placed, static_numbers, findings),
        static_number_names=tuple(static_numbers),
        known_future=known,
        known_future_names=known_names,
        observed_past=_spread(rows, placed, place, panel, observed_past, 0) if observed_past else None,
        observed_past_names=tuple(observed_past),
        refused=refused,
    )
    first = int(past.index.min())
    account = Audit(
        rows_read=rows.num_rows,
        series=len(panel),
        observed=len(past.index),
        first=instant_of(grid, first),
        last=instant_of(grid, newest),
        cutoff=instant_of(grid, end),
        findings=tuple(findings),
        late_steps=late,
        stale=stale,
    )
    return panel, account


def _stop_at_future(grid: TimeGrid, placed: Rows, now: datetime, audit: AuditSettings, findings: list[Finding]) -> None:
    """Note values after now where the policy calls them an error; else they are not seen, as all after the cutoff."""
    if audit.future == "error":
        newest, _ = grid.to_index(pd.DatetimeIndex([now]))
        future = (placed.index > newest[0]) & ~np.isnan(placed.value)
        if future.any():
            names = placed.names(future)
            findings.append(finding("values after now", int(future.sum()), names, "", "future", audit.future))


def _has_row(placed: Rows, place: IntArray, panel: Panel) -> BoolArray:
    """Shape (total,): where the source has a row, with or without a value."""
    flat = place[placed.series] + placed.index
    inside = (flat >= panel.offsets[:-1][placed.series]) & (placed.index <= panel.cutoff_index)
    has_row = np.zeros(len(panel.values), bool)
    has_row[flat[inside]] = True
    return has_row


def _cutoff_index(grid: TimeGrid, placed: Rows, cutoff: datetime | None, now: datetime) -> int:
    """Grid position of the cutoff: the newest step not after it, or the newest observed one."""
    if cutoff is not None:
        moment = pd.DatetimeIndex([cutoff])
        index, _ = grid.to_index(moment if moment.tz is not None else moment.to_numpy().astype("datetime64[us]"))
        return int(index[0])
    newest, _ = grid.to_index(pd.DatetimeIndex([now]))
    seen = placed.index[(placed.index <= newest[0]) & ~np.isnan(placed.value)]
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
            f"{shown(placed.series_ids[longest])} begins {instant_of(grid, int(first[longest])):%Y-%m-%d}. "
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


def _known_future(
    rows: pa.Table,
    placed: Rows,
    place: IntArray,
    panel: Panel,
    names: Sequence[str],
    elsewhere: Sequence[pa.Table],
    findings: list[Finding],
) -> tuple[npt.NDArray[np.float32] | None, tuple[str, ...]]:
    """Known-future columns of the rows themselves and of other tables, side by side, and their names."""
    parts = [] if not names else [(_spread(rows, placed, place, panel, names, panel.horizon), tuple(names))]
    parts += [spread_known(table, panel, findings) for table in elsewhere]
    if not parts:
        return None, ()
    together = np.concatenate([part for part, _ in parts], axis=1) if len(parts) > 1 else parts[0][0]
    return together, tuple(name for _, names in parts for name in names)


def _spread(
    rows: pa.Table, placed: Rows, place: IntArray, panel: Panel, names: Sequence[str], tail: int
) -> npt.NDArray[np.float32]:
    """Covariates at the places of the values and `tail` steps on, shape (total + series * tail, column)."""
    # Not four bytes each any more: there are more steps than such numbers.
    series = placed.series.astype(np.int64)
    flat = place[series] + placed.index + series * tail
    begin = panel.offsets[:-1][series] + series * tail
    inside = (flat >= begin) & (placed.index <= panel.cutoff_index + tail)
    spread = np.full((int(panel.offsets[-1]) + len(panel) * tail, len(names)), np.nan, np.float32)
    for column, name in enumerate(names):
        spread[flat[inside], column] = _finite(rows, name, placed)[inside]
    return spread


def _static(
    rows: pa.Table, placed: Rows, names: Sequence[str], findings: list[Finding]
) -> dict[str, npt.NDArray[np.str_]]:
    """One category per series and column: the newest that its rows hold, "" where they hold none."""
    columns = {}
    for name in names:
        encoded = pc.dictionary_encode(rows[name].cast(pa.string()).combine_chunks())
        if isinstance(encoded, pa.ChunkedArray):
            encoded = encoded.combine_chunks()
        codes = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False)[placed.row]
        newest = _newest(name, placed, codes, codes >= 0, findings)
        categories = np.asarray([*encoded.dictionary.to_pylist(), ""], dtype=str)
        columns[name] = categories[np.where(newest >= 0, codes[newest], -1)]
    return columns


def _static_numbers(
    rows: pa.Table, placed: Rows, names: Sequence[str], findings: list[Finding]
) -> npt.NDArray[np.float32] | None:
    """One number per series and column, shape (series, column): the newest that its rows hold, NaN where none."""
    if not names:
        return None
    columns = []
    for name in names:
        numbers = _finite(rows, name, placed)
        newest = _newest(name, placed, numbers, ~np.isnan(numbers), findings)
        columns.append(np.where(newest >= 0, numbers[newest], np.float32(np.nan)))
    return np.stack(columns, axis=1)


def _newest(
    name: str, placed: Rows, values: npt.NDArray[Any], known: BoolArray, findings: list[Finding]
) -> npt.NDArray[np.intp]:
    """For each series the place of the newest known value, -1 where there is none; shape (series,)."""
    # Rows are in order of time, so the last one written to a place is the newest.
    newest = np.full(len(placed.series_ids), -1, np.intp)
    newest[placed.series[known]] = np.flatnonzero(known)
    changed = known & (values != values[newest[placed.series]])
    if changed.any():
        examples = placed.names(changed)
        findings.append(Finding(f"rows with an older {name}", int(changed.sum()), examples, "the newest counts"))
    return newest


def _finite(rows: pa.Table, name: str, placed: Rows) -> npt.NDArray[np.float32]:
    """A column of numbers at the placed rows; NaN for what no float32 holds, too."""
    numbers = rows[name].cast(pa.float64()).to_numpy()[placed.row]
    with np.errstate(over="ignore"):
        small = numbers.astype(np.float32)
    return np.where(np.isfinite(small), small, np.float32(np.nan))
