"""From rows as a database gives them to a panel, with an account of everything that was odd."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from models.errors import InputError
from models.panel import Panel
from models.settings import ForecastSettings
from models.time_grid import TimeGrid

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
EXAMPLES = 5


@dataclass(frozen=True)
class Finding:
    """One kind of oddity in the input.

    Attributes:
        kind: What it is, in a few words.
        count: How many rows, steps or series.
        examples: Five of them at most.
        action: What the night did about it.
    """

    kind: str
    count: int
    examples: tuple[str, ...]
    action: str

    def __str__(self) -> str:
        return f"{self.count} {self.kind} ({', '.join(self.examples)}): {self.action}"


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
    """

    rows_read: int
    series: int
    observed: int
    first: datetime
    last: datetime
    cutoff: datetime
    findings: tuple[Finding, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON-able, times as ISO text."""
        return {key: item.isoformat() if isinstance(item, datetime) else item for key, item in asdict(self).items()}


@dataclass(frozen=True)
class Rows:
    """Rows on the grid: parallel arrays of shape (row,).

    Attributes:
        series: Row numbers into `series_ids`.
        index: Grid positions.
        value: float64, NaN where not observed.
        row: Places in the source's table.
    """

    series_ids: npt.NDArray[np.str_]
    series: IntArray
    index: IntArray
    value: npt.NDArray[np.float64]
    row: IntArray

    def take(self, keep: BoolArray | IntArray) -> Rows:
        return Rows(self.series_ids, self.series[keep], self.index[keep], self.value[keep], self.row[keep])

    def names(self, keep: BoolArray) -> tuple[str, ...]:
        """Ids of the series of the first kept rows."""
        return tuple(str(name) for name in self.series_ids[pd.unique(self.series[keep])[:EXAMPLES]])


def build_panel(
    rows: pa.Table,
    forecast: ForecastSettings,
    *,
    static: Sequence[str] = (),
    known_future: Sequence[str] = (),
    observed_past: Sequence[str] = (),
    cutoff: datetime | None,
    now: datetime,
) -> tuple[Panel, Audit]:
    """Put rows on the time grid, every series up to the cutoff, and say what was odd.

    Args:
        rows: Columns `series_id`, `timestamp`, `value` and the covariates by name, in any order of rows.
        forecast: The grid, the horizon and the bounds.
        static: Columns with one category per series.
        known_future: Number columns known up to `horizon` steps past the cutoff.
        observed_past: Number columns known up to the cutoff.
        cutoff: The last instant that may be seen; without a zone, meant in the job's zone. None for the
            newest observed step.
        now: No value after it is taken for the newest.

    Returns:
        The panel and its audit. Values after the cutoff are not in the panel.

    Raises:
        InputError: where there are no rows, most lie off the grid, nothing was observed up to the cutoff, or
            one series has two different values for one timestamp.
    """
    if rows.num_rows == 0:
        raise InputError("The source gave no rows; check source.table or source.query, and its filters.")
    grid = TimeGrid(forecast.frequency, forecast.time_zone)
    findings: list[Finding] = []
    placed = _place_on_grid(rows, grid, findings)
    placed = _without_infinities(placed, findings)
    end = _cutoff_index(grid, placed, cutoff, now)
    placed = _without_duplicates(placed, grid, findings)
    past = placed.take((placed.index <= end) & ~np.isnan(placed.value))
    if not len(past.index):
        raise InputError(
            f"No value was observed up to the cutoff {_instant(grid, end)}; the source's rows begin "
            f"{_instant(grid, int(placed.index.min()))}. Choose a later cutoff."
        )
    panel, place = _lay_out(past, placed, end, grid, forecast)
    later = (placed.index > end) & ~np.isnan(placed.value)
    if later.any():
        findings.append(Finding("values after the cutoff", int(later.sum()), placed.names(later), "not seen"))
    _note_values(panel, forecast, findings)
    refused = _refuse(panel, forecast, findings)
    panel = replace(
        panel,
        static=_static(rows, placed, static, findings),
        known_future=_spread(rows, placed, place, panel, known_future, forecast.horizon),
        known_future_names=tuple(known_future),
        observed_past=_spread(rows, placed, place, panel, observed_past, 0),
        observed_past_names=tuple(observed_past),
        refused=refused,
    )
    first = int(past.index.min())
    audit = Audit(
        rows_read=rows.num_rows,
        series=len(panel),
        observed=len(past.index),
        first=_instant(grid, first),
        last=_instant(grid, int(past.index.max())),
        cutoff=_instant(grid, end),
        findings=tuple(findings),
    )
    return panel, audit


def _instant(grid: TimeGrid, index: int) -> datetime:
    """The UTC instant of one grid position."""
    return pd.Timestamp(grid.to_utc(np.array([index]))[0]).to_pydatetime().replace(tzinfo=UTC)


def _place_on_grid(rows: pa.Table, grid: TimeGrid, findings: list[Finding]) -> Rows:
    """Rows with their grid positions, those off the grid left out."""
    ids = rows["series_id"].combine_chunks()
    if not pa.types.is_dictionary(ids.type):
        ids = pc.dictionary_encode(ids)
    if isinstance(ids, pa.ChunkedArray):
        ids = ids.unify_dictionaries().chunk(0)
    names = np.asarray(ids.dictionary.to_pylist(), dtype=str)
    order = np.argsort(names, kind="stable")
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    series = rank[ids.indices.to_numpy(zero_copy_only=False)].astype(np.int64)
    times = rows["timestamp"]
    moments = times.cast(pa.timestamp("us", times.type.tz)).to_numpy().astype("datetime64[us]")
    index, on_grid = grid.to_index(pd.DatetimeIndex(moments, tz="UTC") if times.type.tz else moments)
    value = pc.fill_null(rows["value"].cast(pa.float64()), float("nan")).to_numpy()
    placed = Rows(names[order], series, index, value, np.arange(rows.num_rows))
    off = ~on_grid
    if 2 * off.sum() > len(off):
        examples = [str(moment) for moment in moments[off][:EXAMPLES]]
        raise InputError(
            f"{int(off.sum())} of {len(off)} timestamps lie off the grid of frequency {grid.frequency!r} in "
            f"{grid.time_zone}: {examples}. Set forecast.frequency and forecast.time_zone to the source's own."
        )
    if off.any():
        findings.append(Finding("timestamps off the grid", int(off.sum()), placed.names(off), "left out"))
    return placed.take(on_grid)


def _without_infinities(placed: Rows, findings: list[Finding]) -> Rows:
    """Values that no float32 holds become 'not observed'."""
    with np.errstate(over="ignore"):
        wild = np.isinf(placed.value.astype(np.float32))
    if not wild.any():
        return placed
    findings.append(Finding("infinite values", int(wild.sum()), placed.names(wild), "taken as not observed"))
    return Rows(placed.series_ids, placed.series, placed.index, np.where(wild, np.nan, placed.value), placed.row)


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


def _without_duplicates(placed: Rows, grid: TimeGrid, findings: list[Finding]) -> Rows:
    """Rows in order of series and time, equal ones once.

    Raises:
        InputError: where two rows of one series and timestamp hold different values.
    """
    # A missing value sorts last, so an observed one of the same key comes first and stays.
    order = np.lexsort((placed.value, placed.index, placed.series))
    placed = placed.take(order)
    again = np.zeros(len(order), bool)
    again[1:] = (placed.series[1:] == placed.series[:-1]) & (placed.index[1:] == placed.index[:-1])
    differs = np.zeros(len(order), bool)
    differs[1:] = again[1:] & (placed.value[1:] != placed.value[:-1]) & ~np.isnan(placed.value[1:])
    if differs.any():
        where = np.flatnonzero(differs)[:EXAMPLES]
        examples = [
            f"{placed.series_ids[placed.series[i]]} at {_instant(grid, int(placed.index[i])):%Y-%m-%dT%H:%MZ}: "
            f"{placed.value[i - 1]:g} and {placed.value[i]:g}"
            for i in where
        ]
        raise InputError(
            f"{int(differs.sum())} (series, timestamp) pairs have two different values: {examples}. "
            "Keep one row for each, or let source.query choose, e.g. by max() and GROUP BY."
        )
    if again.any():
        findings.append(Finding("rows given twice", int(again.sum()), placed.names(again), "counted once"))
    return placed.take(~again)


def _lay_out(past: Rows, placed: Rows, end: int, grid: TimeGrid, forecast: ForecastSettings) -> tuple[Panel, IntArray]:
    """The flat panel of values, and for each series the flat place of grid position 0."""
    count = len(placed.series_ids)
    first = np.full(count, end + 1, np.int64)
    np.minimum.at(first, past.series, past.index)
    offsets = np.concatenate([[0], np.cumsum(end + 1 - first)]).astype(np.int64)
    place = offsets[:-1] - first
    values = np.full(int(offsets[-1]), np.nan, np.float32)
    values[place[past.series] + past.index] = past.value
    panel = Panel(
        values=values,
        offsets=offsets,
        series_ids=placed.series_ids,
        frequency=forecast.frequency,
        time_zone=forecast.time_zone,
        cutoff_index=end,
        season_lengths=tuple(sorted(forecast.season_lengths or grid.default_season_lengths)),
        horizon=forecast.horizon,
    )
    return panel, place


def _spread(
    rows: pa.Table, placed: Rows, place: IntArray, panel: Panel, names: Sequence[str], tail: int
) -> npt.NDArray[np.float32] | None:
    """Covariates at the places of the values and `tail` steps on, shape (total + series * tail, column)."""
    if not names:
        return None
    series = placed.series
    flat = place[series] + placed.index + series * tail
    begin = panel.offsets[:-1][series] + series * tail
    inside = (flat >= begin) & (placed.index <= panel.cutoff_index + tail)
    spread = np.full((int(panel.offsets[-1]) + len(panel) * tail, len(names)), np.nan, np.float32)
    for column, name in enumerate(names):
        numbers = pc.fill_null(rows[name].cast(pa.float64()), float("nan")).to_numpy()[placed.row]
        with np.errstate(over="ignore"):
            small = numbers.astype(np.float32)
        spread[flat[inside], column] = np.where(np.isfinite(small), small, np.nan)[inside]
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
        known = codes >= 0
        # Rows are in order of time, so the last one written to a place is the newest.
        newest = np.full(len(placed.series_ids), -1)
        newest[placed.series[known]] = codes[known]
        changed = known & (codes != newest[placed.series])
        if changed.any():
            examples = placed.names(changed)
            findings.append(Finding(f"rows with an older {name}", int(changed.sum()), examples, "the newest counts"))
        categories = np.asarray([*encoded.dictionary.to_pylist(), ""], dtype=str)
        columns[name] = categories[newest]
    return columns


def _note_values(panel: Panel, forecast: ForecastSettings, findings: list[Finding]) -> None:
    """Findings about the values themselves, which stay as they are."""
    series = np.repeat(np.arange(len(panel)), panel.lengths)

    def note(kind: str, bad: BoolArray, action: str) -> None:
        if bad.any():
            examples = tuple(str(name) for name in panel.series_ids[np.unique(series[bad])[:EXAMPLES]])
            findings.append(Finding(kind, int(bad.sum()), examples, action))

    note("steps without a value", ~panel.observed, "taken as not observed")
    if forecast.lower_bound is not None:
        note("values below the lower bound", panel.values < forecast.lower_bound, "kept; forecasts stay above it")
    if forecast.upper_bound is not None:
        note("values above the upper bound", panel.values > forecast.upper_bound, "kept; forecasts stay below it")


def _refuse(panel: Panel, forecast: ForecastSettings, findings: list[Finding]) -> dict[str, str]:
    """Series that the model must not forecast, each with the reason."""
    counts = panel.observed_counts
    short = counts < forecast.min_history
    if short.any():
        examples = tuple(str(name) for name in panel.series_ids[short][:EXAMPLES])
        findings.append(Finding("short series", int(short.sum()), examples, "left to the fallback"))
    return {
        str(panel.series_ids[i]): (
            f"{counts[i]} observed values; min_history is {forecast.min_history}"
            if counts[i]
            else "no observed value up to the cutoff"
        )
        for i in np.flatnonzero(short)
    }
