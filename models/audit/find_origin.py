"""The origin of the grid, from the timestamps of the source."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from models.arrays import DatetimeArray
from models.audit.findings import EXAMPLES, Findings
from models.audit.row_stream import RowBatches
from models.audit.rows import moments_of
from models.calendar.grid import TimeGrid
from models.calendar.origin import origin_of_timestamps


def find_origin(rows: RowBatches, grid: TimeGrid, findings: Findings) -> str | None:
    """One step of the grid on which the source's timestamps lie; None where it is the usual one of the frequency.

    Args:
        rows: The rows.
        grid: The usual grid.
        findings: Another grid is added here.
    """
    origin = origin_of_timestamps(grid, _timestamps(rows))
    if origin is not None:
        examples = [str(each)[:16] for each in next(_timestamps(rows))[:EXAMPLES]]
        action = f"the grid has {origin} as one of its steps"
        findings.add(
            f"timestamps on another grid of {grid.frequency}", rows.num_rows, examples, action, "forecast.origin"
        )
    return origin


def _timestamps(rows: RowBatches) -> Iterator[DatetimeArray | pd.DatetimeIndex]:
    for batch in rows.batches(["timestamp"]):
        moments = moments_of(batch["timestamp"])
        yield pd.DatetimeIndex(moments, tz="UTC") if batch["timestamp"].type.tz else moments
