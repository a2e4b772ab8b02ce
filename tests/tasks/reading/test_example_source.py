"""The example source: the same from the same seed, and with what real sources hold."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tasks.reading.example_source import DAYS_AHEAD, LAST_DAY, example_sales, make_example_source


@pytest.fixture(scope="module")
def sales() -> pd.DataFrame:
    frame: pd.DataFrame = example_sales().to_pandas()
    return frame.assign(series=frame["store"] + "/" + frame["item"])


def test_the_same_seed_gives_the_same_sales() -> None:
    assert example_sales(seed=3).equals(example_sales(seed=3))
    assert not example_sales(seed=3).equals(example_sales(seed=4))


def test_there_are_sixty_daily_series_with_one_row_a_day_at_most(sales: pd.DataFrame) -> None:
    assert sales["series"].nunique() == 60
    assert not sales.duplicated(["series", "sold_at"]).any()
    assert (sales["sold_at"].dt.normalize() == sales["sold_at"]).all()


def test_the_coming_days_hold_what_is_known_of_them_and_no_sales(sales: pd.DataFrame) -> None:
    ahead = sales[sales["sold_at"] > pd.Timestamp(LAST_DAY)]
    assert ahead["units"].isna().all()
    assert ahead["visitors"].isna().all()
    assert ahead["sold_at"].nunique() == DAYS_AHEAD
    assert set(ahead["promotion"]) == {0, 1}


def test_promotions_sell_more_and_holidays_less(sales: pd.DataFrame) -> None:
    relative = sales["units"] / sales.groupby("series")["units"].transform("mean")
    assert relative[sales["promotion"] == 1].mean() > 1.3 * relative[sales["promotion"] == 0].mean()
    assert relative[sales["holiday"] == 1].mean() < 0.7 * relative[sales["holiday"] == 0].mean()


def test_some_series_are_as_awkward_as_real_ones(sales: pd.DataFrame) -> None:
    sold = sales.dropna(subset="units").groupby("series")
    assert sold["sold_at"].max()["Gijon/ice cream"] < pd.Timestamp("2024-10-01")
    assert sold["units"].count()["Bilbao/tea"] < 21
    assert sold["units"].nunique()["Cadiz/detergent"] == 1
    assert (sales.loc[sales["item"] == "umbrella", "units"] == 0).mean() > 0.5
    assert np.isclose(sales.loc[sales["sold_at"] <= pd.Timestamp(LAST_DAY), "units"].isna().mean(), 1 / 500, atol=1e-3)


def test_the_source_is_a_database_that_can_be_made_again(tmp_path: Path) -> None:
    for _ in range(2):
        path, rows = make_example_source(tmp_path / "demo")
    connection = sqlite3.connect(path)
    try:
        assert connection.execute("SELECT count(*) FROM observations").fetchone() == (rows,)
        first = connection.execute("SELECT store, item, sold_at FROM observations LIMIT 1").fetchone()
    finally:
        connection.close()
    assert first[:2] == ("Cadiz", "bread")
    assert str(first[2]).startswith("2022-09-01")
    assert not (tmp_path / "demo" / "example.parquet").exists()
