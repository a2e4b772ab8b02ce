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
    """A data set: a folder with `history.parquet` and `actuals.parquet`, each of series_id, timestamp and value.

    Attributes:
        name: Its name.
        frequency: Of its series.
        horizon: Steps ahead.
        season_length: Steps of the season by which errors are scaled.
        folder: The folder, where it has another name.
        every: Only every so many-th series by id, for a job of few series.
    """

    name: str
    frequency: str
    horizon: int
    season_length: int
    folder: str = ""
    every: int = 1

    def place(self, data: Path) -> Path:
        """Its folder among the data sets."""
        return data / (self.folder or self.name)

    def read(self, folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
        """The history, and the actuals after it."""
        history, actuals = (pd.read_parquet(folder / f"{name}.parquet") for name in ("history", "actuals"))
        chosen = sorted(history["series_id"].unique())[:: self.every]
        return tuple(rows[rows["series_id"].isin(chosen)] for rows in (history, actuals))  # type: ignore[return-value]

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


LARGE_SETS = (
    DataSet("tourism_monthly", "MS", 24, 12),
    DataSet("tourism_quarterly", "QS", 8, 4),
    DataSet("m3_monthly", "MS", 18, 12),
    DataSet("m3_quarterly", "QS", 8, 4),
    DataSet("montevideo_bus", "h", 24, 24),
    DataSet("beijing_air", "h", 48, 24),
    DataSet("pedestrian", "h", 48, 24),
)
SMALL_SETS = (
    DataSet("tourism_monthly_few", "MS", 24, 12, "tourism_monthly", every=36),
    DataSet("pedestrian_few", "h", 48, 24, "pedestrian", every=11),
)
DATA_SETS = {each.name: each for each in (*LARGE_SETS, *SMALL_SETS)}


def is_rolling(actuals: pd.DataFrame, cutoffs: list[pd.Timestamp]) -> bool:
    """Whether a later cutoff sees the actuals before it. Cutoffs of series that end at different times do not."""
    return len(cutoffs) > 1 and actuals.groupby("series_id")["timestamp"].min().nunique() == 1
