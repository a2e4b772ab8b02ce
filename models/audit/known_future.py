"""Covariates over the horizon: values from tables of their own, and substitutes for missing values."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from models.arrays import Float32Array, IntArray
from models.audit.findings import EXAMPLES, Findings
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


def spread_known(table: pa.Table, panel: Panel, findings: Findings) -> tuple[Float32Array, tuple[str, ...]]:
    """The values of a table in the layout of a panel's known-future covariates.

    Args:
        table: `timestamp`, number columns, and `series_id` unless the values hold for all series.
        panel: The panel. Rows of other series, and of times outside the panel and its horizon, are ignored.
        findings: Problems are added here.

    Returns:
        Shape (total + series * horizon, column), NaN where the table has no value; and the columns' names.

    Raises:
        InputError: where most rows lie off the grid, or one series and timestamp has two different values.
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
    series = np.zeros(table.num_rows, np.int64)
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
    examples = [str(moment) for moment in moments[~on_grid][:EXAMPLES]]
    if 2 * off > len(on_grid):
        raise InputError(
            f"{off} of {len(on_grid)} {kind} lie off the grid of frequency {grid.frequency!r} in {grid.time_zone}: "
            f"{examples}. Use a query in source.known_future_from that gives one row for each step."
        )
    if off:
        findings.add(f"{kind} off the grid", off, examples, "ignored")
    row = np.flatnonzero(on_grid & (series >= 0))
    return series[row], index[row], row


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
        findings: One finding is added for each column with missing values over the horizon.

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


def _carried_forward(values: Float32Array, begin: IntArray) -> Float32Array:
    """Each missing value replaced by the newest known one before it; NaN where a series has none; all of shape (n,)."""
    place = np.arange(len(values))
    newest = np.maximum.accumulate(np.where(np.isnan(values), begin, place))
    return values[newest]
