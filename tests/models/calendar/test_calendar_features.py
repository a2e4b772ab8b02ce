"""Calendar features against the dates they speak of."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.calendar.calendar_features import calendar_features
from models.calendar.grid import TimeGrid

FEATURES = {"h": 11, "15min": 11, "D": 12, "B": 12, "2D": 12, "W-SUN": 4, "10D": 4, "MS": 12, "ME": 12, "2MS": 12}
FEATURES |= {"QS": 4, "QE-NOV": 4, "YS": 0, "YE": 0}


def columns(
    frequency: str, first: str, last: str, zone: str = "Europe/Madrid"
) -> tuple[pd.DataFrame, pd.DatetimeIndex]:
    grid = TimeGrid(frequency, zone)
    index, _ = grid.to_index(np.array([first, last], "datetime64[us]"))
    features, names = calendar_features(grid, int(index[0]), int(index[1]))
    return pd.DataFrame(features, columns=list(names)), grid.to_local(np.arange(index[0], index[1] + 1))


@given(st.sampled_from(sorted(FEATURES)), st.integers(-500, 20_000), st.integers(0, 400))
def test_features_are_bounded_float32_for_every_position_with_both_ends(frequency: str, first: int, more: int) -> None:
    features, names = calendar_features(TimeGrid(frequency, "Europe/Madrid"), first, first + more)

    assert features.shape == (more + 1, FEATURES[frequency]) == (more + 1, len(names))
    assert features.dtype == np.float32
    assert np.abs(features).max(initial=0) <= 1


@pytest.mark.parametrize("frequency", ["h", "D", "B"])
def test_each_weekday_has_its_column(frequency: str) -> None:
    found, clock = columns(frequency, "2024-03-25", "2024-04-30")

    names = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
    weekdays = found[[f"weekday_{name}" for name in names]]
    assert (weekdays.sum(axis=1) == 1).all()
    assert [names[i] for i in weekdays.to_numpy().argmax(axis=1)] == [day[:3].lower() for day in clock.day_name()]


def test_the_time_of_day_is_that_of_the_zones_clock() -> None:
    found, clock = columns("h", "2024-03-30", "2024-04-02")

    noon = found[clock.hour == 12]
    assert len(noon) == 3
    # Half a turn: sine 0 and cosine -1; the second harmonic has made a whole one.
    expected = [0, -1, 0, 1]
    names = ["time_of_day_sin_1", "time_of_day_cos_1", "time_of_day_sin_2", "time_of_day_cos_2"]
    np.testing.assert_allclose(noon[names], [expected] * 3, atol=1e-6)


def test_the_year_comes_round() -> None:
    found, clock = columns("D", "2023-01-01", "2024-01-01")

    waves = found.filter(like="time_of_year")
    np.testing.assert_allclose(waves.iloc[0], [0, 1, 0, 1], atol=1e-6)
    np.testing.assert_allclose(waves.iloc[-1], waves.iloc[0], atol=1e-6)
    # The second of April 2023 is a quarter of the year on: day 91.3 of 365.2.
    np.testing.assert_allclose(waves[clock == "2023-04-02"], [[1, 0, 0, -1]], atol=0.02)
    np.testing.assert_allclose(found.loc[clock == "2023-04-02", "day_of_month"], 2 / 31, rtol=1e-6)


@pytest.mark.parametrize("frequency", ["MS", "ME"])
def test_each_month_has_its_column(frequency: str) -> None:
    found, clock = columns(frequency, "2020-01-31", "2024-12-31")

    assert (found.sum(axis=1) == 1).all()
    np.testing.assert_array_equal(found.to_numpy().argmax(axis=1) + 1, clock.month)


def test_each_quarter_has_its_column() -> None:
    found, clock = columns("QE", "2020-03-31", "2024-12-31")

    np.testing.assert_array_equal(found.to_numpy().argmax(axis=1) + 1, clock.quarter)


def test_positions_in_the_wrong_order_are_refused() -> None:
    with pytest.raises(ValueError, match="last_index 1 lies before first_index 2"):
        calendar_features(TimeGrid("D"), 2, 1)
