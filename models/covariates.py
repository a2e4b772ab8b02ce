"""What rows say beside their values, laid on a panel: covariates by step, categories and numbers by series."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from models.findings import Finding
from models.known_future import spread_known
from models.panel import Panel
from models.rows import BoolArray, IntArray, Rows, finite


def flat_places(placed: Rows, place: IntArray, panel: Panel, tail: int) -> tuple[IntArray, BoolArray]:
    """Where each row lies in a flat array of the panel, and whether it does.

    Args:
        placed: The rows.
        place: Shape (series,), the flat place of grid position 0 among the values.
        panel: The panel.
        tail: Steps after the cutoff that each series has in that array.
    """
    # Not four bytes each any more: there are more steps than such numbers.
    series = placed.series.astype(np.int64)
    flat = place[series] + placed.index + series * tail
    begin = panel.offsets[:-1][series] + series * tail
    return flat, (flat >= begin) & (placed.index <= panel.cutoff_index + tail)


def known_ahead(
    rows: pa.Table,
    placed: Rows,
    place: IntArray,
    panel: Panel,
    names: Sequence[str],
    elsewhere: Sequence[pa.Table],
    findings: list[Finding],
) -> tuple[npt.NDArray[np.float32] | None, tuple[str, ...]]:
    """Known-future columns of the rows themselves and of other tables, side by side, and their names."""
    parts = [] if not names else [(spread(rows, placed, place, panel, names, panel.horizon), tuple(names))]
    parts += [spread_known(table, panel, findings) for table in elsewhere]
    if not parts:
        return None, ()
    together = np.concatenate([part for part, _ in parts], axis=1) if len(parts) > 1 else parts[0][0]
    return together, tuple(name for _, names in parts for name in names)


def spread(
    rows: pa.Table, placed: Rows, place: IntArray, panel: Panel, names: Sequence[str], tail: int
) -> npt.NDArray[np.float32]:
    """Covariates at the places of the values and `tail` steps on, shape (total + series * tail, column)."""
    flat, inside = flat_places(placed, place, panel, tail)
    values = np.full((int(panel.offsets[-1]) + len(panel) * tail, len(names)), np.nan, np.float32)
    for column, name in enumerate(names):
        values[flat[inside], column] = finite(rows[name], placed.row)[inside]
    return values


def static_categories(
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


def newest_numbers(
    rows: pa.Table, placed: Rows, names: Sequence[str], findings: list[Finding]
) -> npt.NDArray[np.float32] | None:
    """One number per series and column, shape (series, column): the newest that its rows hold, NaN where none."""
    if not names:
        return None
    columns = []
    for name in names:
        numbers = finite(rows[name], placed.row)
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
