"""The public data sets that accuracy is measured on, and the cutoffs at which they are forecast."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.shared.command import ROOT

LEVELS = np.arange(1, 10) / 10
COLUMNS = [f"q{level:.1f}".replace(".", "_") for level in LEVELS]
FOLDER = ROOT.parent / "shared" / "data"
"""Where the data sets are unless `--data` says otherwise."""


@dataclass(frozen=True)
class DataSet:
    """A data set: a folder with `history.parquet` and `actuals.parquet`, each of series_id, timestamp and value."""

    name: str
    frequency: str
    horizon: int
    season_length: int

    def read(self, folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
        """The history, and the actuals after it."""
        history, actuals = (pd.read_parquet(folder / f"{name}.parquet") for name in ("history", "actuals"))
        return history, actuals

    def cutoffs(self, history: pd.DataFrame, actuals: pd.DataFrame) -> list[pd.Timestamp]:
        """The cutoffs to forecast at, oldest first.

        If the actuals are one horizon long, each end of a series is a cutoff. If they are longer, the first cutoff is
        the end of the longest series, and another one follows after each horizon.
        """
        last = history.groupby("series_id")["timestamp"].max()
        horizons = actuals.groupby("series_id")["timestamp"].nunique().max() // self.horizon
        if horizons == 1:
            return sorted(last.unique())
        step = pd.tseries.frequencies.to_offset(self.frequency)
        return [last.max() + night * self.horizon * step for night in range(horizons)]


DATA_SETS = {each.name: each for each in (DataSet("tourism_monthly", "MS", 24, 12), DataSet("pedestrian", "h", 48, 24))}


def is_rolling(actuals: pd.DataFrame, cutoffs: list[pd.Timestamp]) -> bool:
    """Whether a later cutoff sees the actuals before it. Cutoffs of series that end at different times do not."""
    return len(cutoffs) > 1 and actuals.groupby("series_id")["timestamp"].min().nunique() == 1
