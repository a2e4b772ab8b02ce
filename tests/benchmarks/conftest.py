"""Simulated rows for the tests of the benchmarks."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import pytest

MakeRows = Callable[[dict[str, list[float]], str], pd.DataFrame]


@pytest.fixture
def make_rows() -> MakeRows:
    """Makes rows (series_id, timestamp, value) of daily series from their values and their first day."""

    def rows(values: dict[str, list[float]], begin: str) -> pd.DataFrame:
        parts = [
            pd.DataFrame(
                {"series_id": name, "timestamp": pd.date_range(begin, periods=len(each), freq="D"), "value": each}
            )
            for name, each in values.items()
        ]
        return pd.concat(parts)

    return rows
