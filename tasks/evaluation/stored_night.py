"""Read one published night from the output tables, in the order of a panel's series."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from models.arrays import FloatArray, IntArray
from models.evaluation.past_night import ForecastRows, PastNight
from models.panel.panel import Panel, places_of
from sql.output.quantile_columns import is_quantile_column, quantile_level
from tasks.evaluation.nights_due import NightDue
from tasks.night.ledger import Ledger
from tasks.step import logger


def read_past_night(ledger: Ledger, due: NightDue, panel: Panel) -> PastNight | None:
    """A published night beside the actuals that have arrived.

    Args:
        ledger: The job's.
        due: The night.
        panel: The history as it is known now.

    Returns:
        None where none of its rows is left. None too for a night of another time grid, which the job had before its
        frequency or time zone changed: its steps are not steps of this grid.
    """
    publication = due.publication
    stored = ledger.figures_of(publication["cutoff"], last_step=panel.cutoff_index - due.cutoff_index)
    # Old nights may have been deleted.
    if not stored.num_rows:
        return None
    # Every series has every step, so the number of rows left out tells the night's own horizon.
    horizon = int(pc.max(stored["step"]).as_py()) * publication["rows"] // stored.num_rows
    ends = pd.DatetimeIndex([publication[end] for end in ("cutoff", "first_timestamp", "last_timestamp")])
    position, on_grid = panel.grid.to_index(ends)
    if on_grid.all() and position.tolist() == [due.cutoff_index, due.cutoff_index + 1, due.cutoff_index + horizon]:
        rows = forecast_rows(stored, panel)
        return PastNight.of_rows(rows, panel, due.cutoff_index, horizon=int(rows.step.max()))
    logger().info("The night of %s has another time grid; it is not scored.", publication["cutoff"])
    return None


def forecast_rows(stored: pa.Table, panel: Panel) -> ForecastRows:
    """The rows of `Ledger.figures_of`; quantile columns that are null everywhere are left out."""
    columns = {
        quantile_level(name): name
        for name in stored.column_names
        if is_quantile_column(name) and stored[name].null_count < stored.num_rows
    }
    levels = sorted(columns)
    versions = pc.dictionary_encode(pc.fill_null(stored["model_version"], "").combine_chunks())
    return ForecastRows(
        series=positions_of_series(stored, panel),
        step=stored["step"].to_numpy(),
        quantile_levels=np.array(levels),
        quantiles=np.column_stack([number_column(stored, columns[level]) for level in levels]),
        median=number_column(stored, "median"),
        baseline=number_column(stored, "baseline"),
        versions=tuple(versions.dictionary.to_pylist()),
        version=versions.indices.to_numpy(zero_copy_only=False),
    )


def positions_of_series(rows: pa.Table, panel: Panel) -> IntArray:
    """The position in the panel of each row's series, shape (row,); -1 where the panel does not hold it."""
    ids = pc.dictionary_encode(rows["series_id"].cast(pa.string()).combine_chunks())
    names = np.asarray(ids.dictionary.to_pylist(), dtype=str)
    return np.asarray(places_of(names, panel.series_ids)[ids.indices.to_numpy(zero_copy_only=False)], np.int64)


def number_column(rows: pa.Table, name: str) -> FloatArray:
    """A column of numbers, NaN where null; shape (row,)."""
    return np.asarray(pc.fill_null(rows[name].cast(pa.float64()), float("nan")).to_numpy(), np.float64)
