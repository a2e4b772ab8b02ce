"""Rows of the source on the time grid: in order, each place once, and what had to be left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from models.errors import InputError
from models.repeated_hours import second_pass
from models.settings import AuditSettings
from models.time_grid import TimeGrid

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
EXAMPLES = 5
# Rows that are worked on at once where that takes more memory than the result.
PART = 1 << 20
LARGEST_INT = int(np.iinfo(np.int32).max)
# An id may have thousands of characters; a message needs only enough of them to know it again.
SHOWN_CHARACTERS = 60


@dataclass(frozen=True)
class Finding:
    """One kind of oddity in the input.

    Attributes:
        kind: What it is, in a few words.
        count: How many rows, steps or series.
        examples: Five of them at most.
        action: What the night did about it.
        setting: The key of the job file that says what to do about it, "" where nothing can.
        fatal: Whether that key says to stop.
    """

    kind: str
    count: int
    examples: tuple[str, ...]
    action: str
    setting: str = ""
    fatal: bool = False

    def __str__(self) -> str:
        return f"{self.count} {self.kind} ({', '.join(self.examples)}): {self.action}"


def finding(kind: str, count: int, examples: Sequence[str], action: str, setting: str, policy: str | None) -> Finding:
    """What was found, with what the audit's policy says about it."""
    fatal = policy == "error"
    return Finding(kind, count, tuple(examples), "stops the night" if fatal else action, f"audit.{setting}", fatal)


def stop_where_fatal(findings: Sequence[Finding]) -> None:
    """Raise where a policy calls something that was found an error.

    Raises:
        InputError: names every such finding and the keys of the job file that say otherwise.
    """
    fatal = [each for each in findings if each.fatal]
    if fatal:
        found = "; ".join(f"{each.count} {each.kind} ({', '.join(each.examples)})" for each in fatal)
        keys = " and ".join(each.setting for each in fatal)
        raise InputError(f"The source holds {found}. Mend these rows, or give {keys} another value than 'error'.")


def shown(name: object) -> str:
    """An id as messages have it: its beginning where it is long."""
    text = str(name)
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[: SHOWN_CHARACTERS - 1]}…"


@dataclass(frozen=True)
class Rows:
    """Rows on the grid: parallel arrays of shape (row,).

    There are many of them, so whole numbers take four bytes each where they fit.

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
        if keep.dtype == bool and keep.all():
            return self
        return Rows(self.series_ids, self.series[keep], self.index[keep], self.value[keep], self.row[keep])

    def names(self, keep: BoolArray) -> tuple[str, ...]:
        """Ids of the series of the first kept rows."""
        return tuple(shown(name) for name in self.series_ids[pd.unique(self.series[keep])[:EXAMPLES]])


NOT_OBSERVED = "taken as not observed"


def instant_of(grid: TimeGrid, index: int) -> datetime:
    """The UTC instant of one grid position."""
    return pd.Timestamp(grid.to_utc(np.array([index]))[0]).to_pydatetime().replace(tzinfo=UTC)


def _second_time(
    moments: npt.NDArray[np.datetime64],
    series: IntArray,
    series_ids: npt.NDArray[np.str_],
    grid: TimeGrid,
    findings: list[Finding],
) -> BoolArray:
    """Rows of the second time that the clocks showed an hour, and a word about them."""
    again, in_doubt = second_pass(moments, series, grid)
    for kind, found, action in (
        ("rows of an hour that came twice", again, "taken as its second time"),
        ("of them among rows in no order of time", in_doubt, "the later one in the source taken as the second"),
    ):
        if found.any():
            examples = tuple(shown(name) for name in series_ids[pd.unique(series[found])[:EXAMPLES]])
            findings.append(Finding(kind, int(found.sum()), examples, action))
    return again


def place_on_grid(rows: pa.Table, grid: TimeGrid, findings: list[Finding], audit: AuditSettings | None = None) -> Rows:
    """Rows with their grid positions; those off the grid are treated as the audit's policy says.

    Raises:
        InputError: where the policy is left out and most rows lie off the grid, or two ids differ in nothing
            but NUL characters at their end.
    """
    ids = rows["series_id"].combine_chunks()
    if not pa.types.is_dictionary(ids.type):
        ids = pc.dictionary_encode(ids)
    if isinstance(ids, pa.ChunkedArray):
        ids = ids.unify_dictionaries().chunk(0)
    names = np.asarray(ids.dictionary.to_pylist(), dtype=str)
    _tell_apart(names)
    order = np.argsort(names, kind="stable")
    rank = np.empty(len(order), np.int32)
    rank[order] = np.arange(len(order))
    series = rank[ids.indices.to_numpy(zero_copy_only=False)]
    times = rows["timestamp"]
    moments = times.cast(pa.timestamp("us", times.type.tz)).to_numpy().astype("datetime64[us]", copy=False)
    again = None if times.type.tz else _second_time(moments, series, names[order], grid, findings)
    index, on_grid = _positions(moments, again, grid, in_utc=bool(times.type.tz))
    # A null becomes NaN.
    value = rows["value"].cast(pa.float64()).to_numpy()
    row = np.arange(rows.num_rows, dtype=np.int32 if rows.num_rows <= LARGEST_INT else np.int64)
    placed = Rows(names[order], series, index, value, row)
    return _off_grid(placed, ~on_grid, moments, grid, findings, (audit or AuditSettings()).off_grid)


def _off_grid(
    placed: Rows,
    off: BoolArray,
    moments: npt.NDArray[np.datetime64],
    grid: TimeGrid,
    findings: list[Finding],
    policy: str | None,
) -> Rows:
    if not off.any():
        return placed
    if policy is None and 2 * off.sum() > len(off):
        examples = [str(moment) for moment in moments[off][:EXAMPLES]]
        raise InputError(
            f"{int(off.sum())} of {len(off)} timestamps lie off the grid of frequency {grid.frequency!r} in "
            f"{grid.time_zone}: {examples}. Set forecast.frequency and forecast.time_zone to the source's own, or "
            "audit.off_grid to floor or leave_out."
        )
    where = np.flatnonzero(off)[:EXAMPLES]
    examples = [f"{shown(placed.series_ids[placed.series[i]])} at {moments[i]}" for i in where]
    action = "moved back to the step that they fall into" if policy == "floor" else "left out"
    findings.append(finding("timestamps off the grid", int(off.sum()), examples, action, "off_grid", policy))
    return placed if policy == "floor" else placed.take(~off)


def _positions(
    moments: npt.NDArray[np.datetime64], again: BoolArray | None, grid: TimeGrid, in_utc: bool
) -> tuple[IntArray, BoolArray]:
    """As `TimeGrid.to_index`, part by part: what it computes on the way is several times as large as its result."""
    found = []
    for begin in range(0, max(len(moments), 1), PART):
        part = moments[begin : begin + PART]
        second = None if again is None else again[begin : begin + PART]
        found.append(grid.to_index(pd.DatetimeIndex(part, tz="UTC") if in_utc else part, second))
    return np.concatenate([_small(index) for index, _ in found]), np.concatenate([on_grid for _, on_grid in found])


def _small(numbers: IntArray) -> IntArray:
    """The same whole numbers in four bytes each, where they fit."""
    fits = not len(numbers) or (abs(int(numbers.min())) <= LARGEST_INT and abs(int(numbers.max())) <= LARGEST_INT)
    return numbers.astype(np.int32) if fits else numbers


def _tell_apart(names: npt.NDArray[np.str_]) -> None:
    """NumPy's strings end at their last character that is not NUL; ids must differ before it."""
    unique, times = np.unique(names, return_counts=True)
    if len(unique) < len(names):
        same = [shown(name) for name in unique[times > 1][:EXAMPLES]]
        raise InputError(
            f"{int((times > 1).sum())} series ids differ from another one by NUL characters at the end only: {same}. "
            "Take these off in the source, or in a query."
        )


def without_text(placed: Rows, rows: pa.Table, findings: list[Finding], policy: str) -> None:
    """Say where the source has text instead of a number, which the reader leaves unobserved.

    `rows` then has a column `value_text`, null where there is none.
    """
    if "value_text" not in rows.column_names:
        return
    texts = rows["value_text"].take(pa.array(placed.row))
    found = pc.is_valid(texts).to_numpy()
    if found.any():
        where = np.flatnonzero(found)[:EXAMPLES]
        examples = [f"{shown(texts[i].as_py())!r} in {shown(placed.series_ids[placed.series[i]])}" for i in where]
        findings.append(
            finding("texts that are no number", int(found.sum()), examples, NOT_OBSERVED, "non_numeric", policy)
        )


def without_infinities(placed: Rows, findings: list[Finding], policy: str = "missing") -> Rows:
    """Values that no float32 holds become 'not observed': infinite ones, and finite ones that are too large."""
    with np.errstate(over="ignore"):
        wild = np.isinf(placed.value.astype(np.float32))
    infinite = np.isinf(placed.value)
    for kind, found in (("infinite values", infinite), ("values too large for float32 (3.4e38)", wild & ~infinite)):
        if found.any():
            findings.append(finding(kind, int(found.sum()), placed.names(found), NOT_OBSERVED, "infinite", policy))
    return replace(placed, value=np.where(wild, np.nan, placed.value)) if wild.any() else placed


def without_duplicates(placed: Rows, grid: TimeGrid, findings: list[Finding], policy: str | None = None) -> Rows:
    """Rows in order of series and time, each place once: equal values as one, different ones as the policy says.

    Args:
        placed: Rows in the order of the source, without infinities.
        grid: Their grid.
        findings: What was found is added here.
        policy: `first`, `last`, `mean` or `sum` of the observed values; None for the mean.

    Raises:
        InputError: where the policy is None and most places have different values.
    """
    if _are_once_in_order(placed):
        return placed
    first, last = int(placed.index.min(initial=0)), int(placed.index.max(initial=0))
    # More places than numbers of four bytes.
    place = placed.series.astype(np.int64) * (last - first + 1) + (placed.index.astype(np.int64) - first)
    if not (place[1:] > place[:-1]).all():
        placed = placed.take(np.argsort(place, kind="stable"))
    fresh = np.ones(len(placed.row), bool)
    fresh[1:] = (placed.series[1:] != placed.series[:-1]) | (placed.index[1:] != placed.index[:-1])
    if fresh.all():
        return placed
    # Sums must not depend on the order in which the source gives its rows.
    last_key = placed.row if policy in ("first", "last") else placed.value
    placed = placed.take(np.lexsort((last_key, placed.index, placed.series)))
    begin = np.flatnonzero(fresh)
    seen = ~np.isnan(placed.value)
    low = np.minimum.reduceat(np.where(seen, placed.value, np.inf), begin)
    high = np.maximum.reduceat(np.where(seen, placed.value, -np.inf), begin)
    # Who sums up sales means equal ones too.
    count = np.add.reduceat(seen.astype(np.int64), begin)
    differs = count > 1 if policy == "sum" else low < high
    again = ~fresh & ~np.repeat(differs, np.diff(begin, append=len(fresh)))
    if again.any():
        findings.append(Finding("rows given twice", int(again.sum()), placed.names(again), "counted once"))
    if differs.any():
        _note_different(placed, begin, low, high, differs, grid, findings, policy)
    place = np.arange(len(fresh))
    # An observed value wins over a missing one of the same place.
    if policy == "last":
        chosen = np.maximum.reduceat(np.where(seen, place, -1), begin)
        chosen = np.where(chosen < 0, begin, chosen)
    else:
        chosen = np.minimum.reduceat(np.where(seen, place, len(place)), begin)
        chosen = np.where(chosen == len(place), begin, chosen)
    kept = placed.take(chosen)
    if policy in ("first", "last"):
        return kept
    total = np.add.reduceat(np.where(seen, placed.value, 0.0), begin)
    if policy != "sum":
        total = np.clip(total / np.maximum(count, 1), low, high)
    return without_infinities(replace(kept, value=np.where(differs, total, kept.value)), findings)


def _note_different(
    placed: Rows,
    begin: IntArray,
    low: npt.NDArray[np.float64],
    high: npt.NDArray[np.float64],
    differs: BoolArray,
    grid: TimeGrid,
    findings: list[Finding],
    policy: str | None,
) -> None:
    examples = [
        f"{shown(placed.series_ids[placed.series[begin[i]]])} at "
        f"{instant_of(grid, int(placed.index[begin[i]])):%Y-%m-%dT%H:%MZ}: {low[i]:g} and {high[i]:g}"
        for i in np.flatnonzero(differs)[:EXAMPLES]
    ]
    hint = _clock_hint(grid)
    if policy is None and 2 * differs.sum() > len(differs):
        raise InputError(
            f"{int(differs.sum())} of {len(differs)} (series, timestamp) pairs have two different values: {examples}. "
            f"Name every column of the id in source.series_id, or let audit.duplicates say what counts.{hint}"
        )
    action = f"their {policy or 'mean'} counts" if policy in (None, "mean", "sum") else f"the {policy} one counts"
    kind = f"timestamps with {'several' if policy == 'sum' else 'different'} values"
    count = int(differs.sum())
    findings.append(finding(kind, count, examples, f"{action}.{hint}" if hint else action, "duplicates", policy))


def _are_once_in_order(placed: Rows) -> bool:
    """Whether rows come series by series and step by step, none twice: as most tables lie."""
    series, index = placed.series, placed.index
    return bool(((series[1:] > series[:-1]) | ((series[1:] == series[:-1]) & (index[1:] > index[:-1]))).all())


def _clock_hint(grid: TimeGrid) -> str:
    """What to think of where the clocks go back and an hour without a zone comes twice."""
    if grid.time_zone == "UTC" or grid.steps_per_day <= 1:
        return ""
    return (
        f" Where the clocks of {grid.time_zone} go back, an hour without a zone comes twice: store timestamps with "
        "their zone, or set forecast.time_zone to UTC if that is what they are."
    )
