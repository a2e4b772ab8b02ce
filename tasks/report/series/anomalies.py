"""The anomalies that a page marks on its series."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from models.arrays import FloatArray, StringArray
from models.panel.panel import Panel, places_of
from tasks.night.ledger import Ledger

_MOST = 5_000


def read_anomalies(ledger: Ledger, first: datetime, cutoff: datetime) -> pa.Table:
    """The anomalies from a time up to the cutoff of a night, as they are known now."""
    rows = ledger.anomalies_since(first)
    return rows.filter(pc.less_equal(rows["timestamp"], pa.scalar(cutoff, rows["timestamp"].type)))


def marked_anomalies(rows: pa.Table | None, ids: StringArray, panel: Panel, first_index: int) -> dict[str, list[Any]]:
    """The anomalies of some series by column, the newest first, and the least probable of one time.

    Args:
        rows: As of `anomaly`; None for none.
        ids: Of the series that the page holds.
        panel: Tonight's history, for its grid.
        first_index: Grid position of the page's first step.

    Returns:
        `of`, a place among the ids; `step`, a place on the page; `expected`, `probability`, and `since`, a place on the
        page that may lie before it. At most 5,000.
    """
    columns: dict[str, list[Any]] = {"of": [], "step": [], "expected": [], "probability": [], "since": []}
    if rows is None or not rows.num_rows:
        return columns
    of = places_of(np.array(rows["series_id"].to_pylist(), dtype=str), ids)
    index, on_grid = panel.grid.to_index(pd.DatetimeIndex(rows["timestamp"].to_numpy(), tz="UTC"))
    since, _ = panel.grid.to_index(pd.DatetimeIndex(rows["since"].to_numpy(), tz="UTC"))
    probability = rows["probability"].to_numpy()
    order = np.lexsort((probability, -index))
    chosen = order[((of >= 0) & on_grid & (index >= first_index) & (index <= panel.cutoff_index))[order]][:_MOST]
    return {
        "of": of[chosen].tolist(),
        "step": (index - first_index)[chosen].tolist(),
        "expected": rows["expected"].to_numpy()[chosen].tolist(),
        "probability": probability[chosen].tolist(),
        "since": (since - first_index)[chosen].tolist(),
    }


def newest_anomaly(rows: pa.Table | None, ids: StringArray) -> FloatArray:
    """When each series had its newest anomaly, shape (series,), in seconds since 1970; NaN for those without one."""
    newest = np.full(len(ids), np.nan)
    if rows is not None and rows.num_rows:
        of = places_of(np.array(rows["series_id"].to_pylist(), dtype=str), ids)
        seconds = rows["timestamp"].to_numpy().astype("M8[s]").astype(np.float64)
        known = of >= 0
        np.fmax.at(newest, of[known], seconds[known])
    return newest
