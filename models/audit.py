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
from models.rows import (
    EXAMPLES,
    PART,
    BoolArray,
    Finding,
    IntArray,
    Rows,
    instant_of,
    place_on_grid,
    without_duplicates,
    without_infinities,
)
from models.settings import ForecastSettings
from models.time_grid import TimeGrid


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

    Returns:
        The panel and its audit. Values after the cutoff are not in the panel.

    Raises:
        InputError: where there are no rows, most lie off the grid, nothing was observed up to the cutoff,
            one series has two different values for one timestamp, or what must be known ahead is not.
    """
    if rows.num_rows == 0:
        raise InputError("The source gave no rows; check source.table or source.query, and its filters.")
    grid = TimeGrid(forecast.frequency, forecast.time_zone)
    findings: list[Finding] = []
    placed = place_on_grid(rows, grid, findings)
    placed = without_infinities(placed, findings)
    end = _cutoff_index(grid, placed, cutoff, now)
    placed = without_duplicates(placed, grid, findings)
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
    _note_values(panel, forecast, findings)
    known, known_names = _known_future(rows, placed, place, panel, known_future, known_elsewhere, findings)
    refused = _refuse(panel, forecast, findings)
    if known is not None:
        refused = fill_missing(known, known_names, panel, forecast.missing_future, findings) | refused
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
    audit = Audit(
        rows_read=rows.num_rows,
        series=len(panel),
        observed=len(past.index),
        first=instant_of(grid, first),
        last=instant_of(grid, int(past.index.max())),
        cutoff=instant_of(grid, end),
        findings=tuple(findings),
    )
    return panel, audit


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
