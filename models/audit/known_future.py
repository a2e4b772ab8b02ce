"""What is known over the horizon: values from a table of their own, and what stands where one is missing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from models.arrays import AnyArray, Float32Array, IntArray
from models.audit.findings import EXAMPLES, Finding
from models.audit.rows import finite, moments_of, positions
from models.calendar.repeated_hours import second_pass
from models.errors import InputError
from models.panel.panel import Panel
from models.settings.forecast import MissingFuture

ACTIONS = {
    "mean": "taken as its mean",
    "last": "the last known one of the series holds on, or its mean where there is none",
    "zero": "taken as 0",
    "fallback": "these series are left to the fallback",
}


def spread_known(table: pa.Table, panel: Panel, findings: list[Finding]) -> tuple[Float32Array, tuple[str, ...]]:
    """Values of a table at the places of a panel's known-future covariates.

    Args:
        table: `timestamp`, `series_id` unless its values hold for all series, and number columns.
        panel: The series, laid out. Rows of other series, and of times that the panel does not reach, are left out.
        findings: What was odd is added.

    Returns:
        Shape (total + series * horizon, column), NaN where the table says nothing, and the columns' names.

    Raises:
        InputError: where most rows lie off the grid, or one series and timestamp has two different values.
    """
    names = tuple(name for name in table.column_names if name not in ("series_id", "timestamp"))
    own = "series_id" in table.column_names
    # Without an id, the table is one series that reaches as far back as the longest.
    lengths = (panel.lengths if own else panel.lengths.max(initial=0, keepdims=True)) + panel.horizon
    begins = np.cumsum(lengths) - lengths
    series, index, row = _placed(table, panel, names, findings)
    place = index - (panel.cutoff_index + panel.horizon + 1 - lengths[series])
    inside = (place >= 0) & (place < lengths[series])
    flat = (begins[series] + place)[inside]
    spread = np.full((int(lengths.sum()), len(names)), np.nan, np.float32)
    for column, name in enumerate(names):
        small = finite(table[name], row[inside])
        known = ~np.isnan(small)
        spread[flat[known], column] = small[known]
        # Of two values for one place the later row stays; the other one then finds it changed.
        differs = known.copy()
        differs[known] = spread[flat[known], column] != small[known]
        if differs.any():
            _refuse_differing(name, panel, series[inside][differs], index[inside][differs], own)
    if own:
        return spread, names
    whole = panel.lengths + panel.horizon
    from_end = np.repeat(np.cumsum(whole), whole) - np.arange(whole.sum())
    return spread[len(spread) - from_end], names


def _placed(
    table: pa.Table, panel: Panel, names: tuple[str, ...], findings: list[Finding]
) -> tuple[IntArray, IntArray, IntArray]:
    """Series (0 for all), grid position and place in the table of each row on the grid; shape (row,) each."""
    grid = panel.grid
    times = table["timestamp"]
    moments = moments_of(times)
    series = np.zeros(table.num_rows, np.int64)
    if "series_id" in table.column_names:
        ids = table["series_id"].unify_dictionaries().combine_chunks()
        if not pa.types.is_dictionary(ids.type):
            ids = pc.dictionary_encode(ids)
        rank = pc.index_in(ids.dictionary, pa.array(panel.series_ids.tolist(), pa.string()))
        of_id = pc.fill_null(rank, -1).to_numpy(zero_copy_only=False)
        series = of_id[ids.indices.to_numpy(zero_copy_only=False)].astype(np.int64)
    again = None if times.type.tz else second_pass(moments, series, grid)[0]
    index, on_grid = positions(moments, again, grid, in_utc=bool(times.type.tz))
    off = int(len(on_grid) - on_grid.sum())
    what = f"rows with {', '.join(names)}"
    if 2 * off > len(on_grid):
        shown = [str(moment) for moment in moments[~on_grid][:EXAMPLES]]
        raise InputError(
            f"{off} of {len(on_grid)} {what} lie off the grid of frequency {grid.frequency!r} in {grid.time_zone}: "
            f"{shown}. Let a query of source.known_future_from give one row for each step."
        )
    if off:
        examples = tuple(str(moment) for moment in moments[~on_grid][:EXAMPLES])
        findings.append(Finding(f"{what} off the grid", off, examples, "left out"))
    row = np.flatnonzero(on_grid & (series >= 0))
    return series[row], index[row], row


def _refuse_differing(name: str, panel: Panel, series: IntArray, index: IntArray, own: bool) -> None:
    grid = panel.grid
    examples = [
        f"{panel.series_ids[i]} at {grid.instant(int(at)):%Y-%m-%dT%H:%MZ}"
        if own
        else f"{grid.instant(int(at)):%Y-%m-%dT%H:%MZ}"
        for i, at in list(zip(series, index, strict=True))[:EXAMPLES]
    ]
    raise InputError(
        f"{len(series)} rows of {name!r} differ from another row of the same time: {examples}. Keep one row for each, "
        "name series_id where values are of one series, or let a query of source.known_future_from choose."
    )


def fill_missing(
    known: Float32Array,
    names: Sequence[str],
    panel: Panel,
    policy: MissingFuture | dict[str, MissingFuture],
    findings: list[Finding],
) -> dict[str, str]:
    """Say which known-future values are missing over the horizon, and put in their place what the job says.

    What "last" and "zero" say holds for the past too: there the network learns what it will see tonight.

    Args:
        known: Shape (total + series * horizon, column); changed.
        names: The columns' names.
        panel: The series.
        policy: One for all columns or for each; "mean" leaves NaN, which the network sees as the mean.
        findings: One is added for each column with missing values over the horizon.

    Returns:
        Series id to the reason why a series is left to the fallback.

    Raises:
        InputError: where values are missing over the horizon and the policy is "error".
    """
    lengths = panel.lengths + panel.horizon
    ends = np.cumsum(lengths)
    horizon = ends[:, None] - panel.horizon + np.arange(panel.horizon)
    refused = dict[str, str]()
    for column, name in enumerate(names):
        what = policy.get(name, "mean") if isinstance(policy, dict) else policy
        missing = np.isnan(known[horizon, column])
        without = panel.series_ids[missing.any(axis=1)]
        if len(without):
            examples = tuple(str(each) for each in without[:EXAMPLES])
            if what == "error":
                raise InputError(
                    f"{name!r} is missing at {int(missing.sum())} of {missing.size} steps of the horizon, in "
                    f"{len(without)} series: {list(examples)}. Let the source hold the coming {panel.horizon} steps, "
                    "or let forecast.missing_future say what stands in."
                )
            findings.append(Finding(f"steps ahead without {name}", int(missing.sum()), examples, ACTIONS[what]))
        if what == "fallback":
            refused |= {str(each): f"{name} is not known over the horizon" for each in without}
        elif what == "zero":
            known[np.isnan(known[:, column]), column] = 0
        elif what == "last":
            known[:, column] = _carried_on(known[:, column], np.repeat(ends - lengths, lengths))
    return refused


def _carried_on(values: Float32Array, begin: AnyArray) -> Float32Array:
    """Each missing value as the newest known one before it; NaN where a series has none; all of shape (n,)."""
    place = np.arange(len(values))
    newest = np.maximum.accumulate(np.where(np.isnan(values), begin, place))
    return values[newest]
