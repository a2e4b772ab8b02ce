"""Small panels and past nights, with numbers that can be worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from models.evaluation.past_night import ForecastRows, PastNight
from models.panel.panel import Panel


@pytest.fixture
def panel_of():
    """Makes a daily panel of series that end at grid position 100, with a season of two days and a horizon of three."""

    def make(*series: list[float], static: dict | None = None) -> Panel:
        lengths = [len(each) for each in series]
        return Panel(
            values=np.concatenate([np.array(each, np.float32) for each in series]),
            offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
            series_ids=np.array([f"s{i}" for i in range(len(series))]),
            frequency="D",
            cutoff_index=100,
            season_lengths=(2,),
            horizon=3,
            static=static or {},
        )

    return make


@pytest.fixture
def night_of():
    """Makes a past night from rows of series, step, quantiles (the middle one is the median) and baseline."""

    def make(panel: Panel, cutoff_index: int, rows: list[tuple], levels=(0.1, 0.5, 0.9)) -> PastNight:
        quantiles = np.array([row[2] for row in rows], float)
        stored = ForecastRows(
            series=np.array([row[0] for row in rows]),
            step=np.array([row[1] for row in rows]),
            quantile_levels=np.array(levels),
            quantiles=quantiles,
            median=quantiles[:, 1],
            baseline=np.array([row[3] for row in rows], float),
        )
        return PastNight.of_rows(stored, panel, cutoff_index, horizon=3)

    return make
