"""A simulated source of counts, for benchmarks that measure time and memory."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pyarrow as pa

LAST_DAY, HORIZON = date(2025, 2, 28), 28
HISTORY = "history.parquet"


def make_history(series: int, steps: int, step: str = "D", first: int = 0) -> pa.Table:
    """Counts with two seasons and noise, ordered by series.

    Daily series have a week and a year, hourly series a day and a week.

    Args:
        series: Number of series.
        steps: Length of each, up to the last step of the last day.
        step: "D" or "h".
        first: Number of the first series; also the seed of its levels, phases and noise.

    Returns:
        series_id, timestamp, value.
    """
    random = np.random.default_rng(first)
    count = np.arange(steps)
    short, long = {"D": (7, 365.25), "h": (24, 168)}[step]
    level = np.exp(random.normal(3, 1, size=(series, 1)))
    week = 1 + 0.4 * np.sin(2 * np.pi * count / short + random.uniform(0, 6, size=(series, 1)))
    year = 1 + 0.3 * np.sin(2 * np.pi * count / long + random.uniform(0, 6, size=(series, 1)))
    end = np.datetime64(LAST_DAY + timedelta(days=1)).astype(f"datetime64[{step}]")
    return pa.table(
        {
            "series_id": np.repeat([f"series-{first + number:06}" for number in range(series)], steps),
            "timestamp": np.tile((end - steps + count).astype("datetime64[us]"), series),
            "value": random.poisson(level * week * year).astype(np.float64).ravel(),
        }
    )
