"""Covariates over the horizon: values from tables of their own, and substitutes for missing values."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from models.arrays import BoolArray, Float32Array, IntArray
from models.audit.findings import EXAMPLES, Findings, abbreviate
from models.audit.rows import finite, moments_of, positions
from models.calendar.repeated_hours import second_pass
from models.errors import InputError
from models.panel.panel import Panel
from models.settings.forecast import MissingFuture

ACTIONS = {
    "mean": "treated as the mean of the column",
    "last": "the last known value of the series is used, or the mean where it has none",
    "zero": "treated as 0",
    "fallback": "these series are forecast by the fallback",
}
# Such times are read as null, so that no message can show them.
_EXTREME = "infinite or outside the years 1678 to 2261"


def spread_known(table: pa.Table, panel: Panel, findings: Findings) -> tuple[Float32Array, tuple[str, ...]]:
    """The values of a table in the layout of a panel's known-future covariates.

    Args:
        table: `timestamp`, number columns, and `series_id` unless the values hold for all series.
        panel: The panel. Rows of other series, and of times outside the panel and its horizon, are ignored.
        findings: Problems are added here: also ids that are spelt unlike their series, and ids that are no series
            where these are most of the table's, and most series are not in the table.

    Returns:
        Shape (total + series * horizon, column), NaN where the table has no value; and the columns' names.

    Raises:
        InputError: where most rows lie off the grid, the table has ids and none of them is a series, or one series and
            timestamp has two different values.
    """
    names = tuple(name for name in table.column_names if name not in ("series_id", "timestamp"))
    per_series = "series_id" in table.column_names
    # A table without ids is treated as one series that is as long as the longest.
    lengths = (panel.lengths if per_series else panel.lengths.max(initial=0, keepdims=True)) + panel.horizon
    begins = np.cumsum(lengths) - lengths
    series, index, row = _placed(table, panel, names, findings)
    place = index - (panel.cutoff_index + panel.horizon + 1 - lengths[series])
    inside = (place >= 0) & (place < lengths[series])
    flat = (begins[series] + place)[inside]
    values = np.full((int(lengths.sum()), len(names)), np.nan, np.float32)
    for column, name in enumerate(names):
        small = finite(table[name], row[inside])
        known = ~np.isnan(small)
        values[flat[known], column] = small[known]
        # The later of two rows of one place overwrites the earlier one, which then differs from what is stored.
        differs = known.copy()
        differs[known] = values[flat[known], column] != small[known]
        if differs.any():
            _refuse_differing(name, panel, series[inside][differs] if per_series else None, index[inside][differs])
    if per_series:
        return values, names
    whole = panel.lengths + panel.horizon
    from_end = np.repeat(np.cumsum(whole), whole) - np.arange(whole.sum())
    return values[len(values) - from_end], names


def _placed(
    table: pa.Table, panel: Panel, names: tuple[str, ...], findings: Findings
) -> tuple[IntArray, IntArray, IntArray]:
    """The rows of a table that are on the grid and of the panel.

    Returns:
        The series of each row, 0 for all series; its grid position; its place in the table; shape (row,) each.
    """
    grid, times = panel.grid, table["timestamp"]
    moments = moments_of(times)
    series, ids = np.zeros(table.num_rows, np.int64), None
    if "series_id" in table.column_names:
        ids = table["series_id"].unify_dictionaries().combine_chunks()
        if not pa.types.is_dictionary(ids.type):
            ids = pc.dictionary_encode(ids)
        rank = pc.index_in(ids.dictionary, pa.array(panel.series_ids.tolist(), pa.string()))
        rank = pc.fill_null(rank, -1).to_numpy(zero_copy_only=False)
        series = rank[ids.indices.to_numpy(zero_copy_only=False)].astype(np.int64)
    again = None if times.type.tz else second_pass(moments, series, grid)[0]
    index, on_grid = positions(moments, again, grid, in_utc=bool(times.type.tz))
    off = int(len(on_grid) - on_grid.sum())
    kind = f"rows with {', '.join(names)}"
    examples = [_EXTREME if np.isnat(moment) else str(moment) for moment in pd.unique(moments[~on_grid])[:EXAMPLES]]
    if 2 * off > len(on_grid):
        raise InputError(
            f"{off} of {len(on_grid)} {kind} lie off the grid of frequency {grid.frequency!r} in {grid.time_zone}: "
            f"{examples}. Use a query in source.known_future_from that gives one row for each step."
        )
    if off:
        findings.add(f"{kind} off the grid", off, examples, "ignored")
    if ids is not None:
        # An id that has rows only at other times says nothing: its series may have begun later, or ended before.
        inside = on_grid & (index > panel.cutoff_index - panel.lengths.max(initial=0))
        inside &= index <= panel.cutoff_index + panel.horizon
        _report_unmet(ids.filter(pa.array(inside)), series[inside] >= 0, panel, ", ".join(names), findings)
    row = np.flatnonzero(on_grid & (series >= 0))
    return series[row], index[row], row


def _report_unmet(ids: pa.DictionaryArray, met: BoolArray, panel: Panel, names: str, findings: Findings) -> None:
    """Report ids of a table that are no series: those spelt unlike theirs always, others where few ids are met.

    Args:
        ids: Of the rows, shape (row,).
        met: Which rows are of a series, shape (row,).
        panel: The series.
        names: The table's columns, for messages.
        findings: Problems are added here.

    Raises:
        InputError: where there are ids and none is a series.
    """
    others = pc.unique(ids.filter(pa.array(~met))).cast(pa.string()).to_pylist()
    if not others:
        return
    found = set(pc.unique(ids.filter(pa.array(met))).cast(pa.string()).to_pylist())
    without = [each for each in panel.series_ids.tolist() if each not in found]
    by_spelling = {spelling(each): each for each in reversed(without)}
    unlike = [(each, by_spelling[key]) for each in others if (key := spelling(each)) in by_spelling]
    pairs = [_beside(*pair) for pair in (unlike or list(zip(others, without, strict=False)))[:EXAMPLES]]
    if not found:
        raise InputError(
            f"None of the {len(others)} ids with {names} is one of the {len(panel)} series: {pairs[0]}. Spell the ids "
            "of source.known_future_from as those of the source, with their columns in the order of source.series_id; "
            "a query can do so, and leave out ids that are no series."
        )
    if unlike:
        findings.add(f"ids with {names} that are spelt unlike their series", len(unlike), pairs, "ignored")
    elif len(found) < len(others) and len(found) < len(without):
        findings.add(f"ids with {names} that are no series", len(others), pairs[:1], "ignored")


def _beside(other: str, series_id: str) -> str:
    return f"{abbreviate(other)!r} beside the series {abbreviate(series_id)!r}"


def spelling(series_id: str) -> tuple[str, ...]:
    r"""What different spellings of an id share: its parts without case, outer blanks, zeros before and ".0" behind.

    The parts are in alphabetical order, so that ids with their columns in another order share it too.

    >>> spelling("Madrid /007.0") == spelling("7/MADRID")
    True
    >>> spelling("7a") == spelling("7")
    False
    """
    parts = re.split(r"(?<!\\)/", unicodedata.normalize("NFKC", series_id).casefold())
    return tuple(sorted(re.sub(r"^0+(?=\d)|(?<=\d)\.0*$", "", part.strip()) for part in parts))


def _refuse_differing(name: str, panel: Panel, series: IntArray | None, index: IntArray) -> None:
    """Raise for rows that differ from another row of the same series and time; `series` is None for all series."""
    times = [f"{panel.grid.instant(int(at)):%Y-%m-%dT%H:%MZ}" for at in index[:EXAMPLES]]
    if series is not None:
        times = [f"{panel.series_ids[i]} at {time}" for i, time in zip(series, times, strict=False)]
    raise InputError(
        f"{len(index)} rows of {name!r} differ from another row of the same time: {times}. Keep one row for each time, "
        "name series_id if the values are of single series, or use a query in source.known_future_from."
    )


def fill_missing(
    known: Float32Array,
    names: Sequence[str],
    panel: Panel,
    policy: MissingFuture | dict[str, MissingFuture],
    findings: Findings,
) -> dict[str, str]:
    """Report known-future values that are missing over the horizon, and fill them as the job says.

    "last" and "zero" fill the past too, so that the network is trained on what it will see tonight.

    Args:
        known: Shape (total + series * horizon, column); changed in place.
        names: The columns' names.
        panel: The series.
        policy: For all columns, or by column; "mean" leaves NaN, which the network sees as the mean.
        findings: One finding is added for each column with missing values over the horizon, and another one for a
            column without any value.

    Returns:
        Ids of the series that are left to the fallback, each with the reason.

    Raises:
        InputError: where values are missing over the horizon and the policy is "error".
    """
    lengths = panel.lengths + panel.horizon
    ends = np.cumsum(lengths)
    horizon = ends[:, None] - panel.horizon + np.arange(panel.horizon)
    refused = dict[str, str]()
    for column, name in enumerate(names):
        chosen = policy.get(name, "mean") if isinstance(policy, dict) else policy
        missing = np.isnan(known[horizon, column])
        if np.isnan(known[:, column]).all():
            report_empty(name, panel, findings)
        without = panel.series_ids[missing.any(axis=1)]
        if len(without):
            examples = [str(each) for each in without[:EXAMPLES]]
            if chosen == "error":
                raise InputError(
                    f"{name!r} is missing at {int(missing.sum())} of {missing.size} steps of the horizon, in "
                    f"{len(without)} series: {examples}. Add the coming {panel.horizon} steps to the source, or set "
                    "forecast.missing_future to what replaces missing values."
                )
            findings.add(f"steps ahead without {name}", int(missing.sum()), examples, ACTIONS[chosen])
        if chosen == "fallback":
            refused |= {str(each): f"{name} is not known over the horizon" for each in without}
        elif chosen == "zero":
            known[np.isnan(known[:, column]), column] = 0
        elif chosen == "last":
            known[:, column] = _carried_forward(known[:, column], np.repeat(ends - lengths, lengths))
    return refused


def report_empty(name: str, panel: Panel, findings: Findings) -> None:
    """Report a covariate that has no value at any step of any series."""
    steps = panel.cutoff_index - int(panel.lengths.max(initial=1)) + 1, panel.cutoff_index + panel.horizon
    first, last = (f"{panel.grid.instant(step):%Y-%m-%dT%H:%MZ}" for step in steps)
    findings.add(f"values of {name}", 0, [f"{first} to {last}"], "the network learns nothing from it")


def _carried_forward(values: Float32Array, begin: IntArray) -> Float32Array:
    """Each missing value replaced by the newest known one before it; NaN where a series has none; all of shape (n,)."""
    place = np.arange(len(values))
    newest = np.maximum.accumulate(np.where(np.isnan(values), begin, place))
    return values[newest]
