"""The frequency of a source, from some of its timestamps."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from models.calendar.infer_frequency import infer_frequency

EVERY = ["s", "15min", "h", "3h", "8h", "B", "D", "2D", "W-MON", "2W-FRI", "4W-SUN", "MS", "ME", "BMS", "BME", "2MS"]
EVERY += ["QS", "QE", "QS-FEB", "BQE", "YS", "YE", "YE-JUN", "BYE"]


def inferred(times, zone="UTC", series=None):
    index = pd.DatetimeIndex(times)
    return infer_frequency(index, np.zeros(len(index), int) if series is None else series, zone)


@pytest.mark.parametrize("frequency", EVERY)
def test_the_steps_of_a_frequency_have_that_frequency(frequency):
    found = inferred(pd.date_range("2021-03-01", periods=60, freq=frequency))
    assert found == (frequency, None, 1.0, 1.0)


def test_gaps_and_the_order_of_rows_do_not_matter():
    days = pd.date_range("2024-01-01", periods=60)
    kept = np.random.default_rng(0).permutation(60)[:45]
    found = inferred(days[kept])
    assert (found.frequency, found.on_grid) == ("D", 1.0)
    assert 0.5 < found.regular < 1


def test_neighbours_are_those_of_one_series():
    # Two series of weeks, on Mondays and on Tuesdays, have no distance of a day.
    times = pd.date_range("2024-01-01", periods=20, freq="W-MON").append(
        pd.date_range("2024-01-02", periods=10, freq="W-TUE")
    )
    found = inferred(times, series=np.repeat([0, 1], [20, 10]))
    assert found.frequency == "W-MON"
    assert found.on_grid == pytest.approx(2 / 3)


def test_days_that_begin_in_the_morning_have_an_origin():
    assert inferred(pd.date_range("2024-01-01T06:00", periods=30)) == ("D", "2024-01-01T06:00:00", 1.0, 1.0)


def test_days_of_a_zone_are_days_there_when_the_clocks_change():
    midnights = pd.date_range("2024-01-01", periods=200, tz="Europe/Madrid").tz_convert("UTC")
    assert inferred(midnights, "Europe/Madrid") == ("D", None, 1.0, 1.0)
    assert inferred(midnights).on_grid < 0.95 or inferred(midnights).origin is not None


def test_the_middle_of_each_month_is_no_step_of_months():
    found = inferred(pd.date_range("2021-01-01", periods=24, freq="MS") + pd.Timedelta(days=14))
    assert (found.frequency, found.on_grid, found.regular) == ("MS", 0.0, 1.0)


def test_single_events_are_not_regular():
    seconds = np.sort(np.random.default_rng(0).integers(0, 10**7, 50))
    assert inferred(pd.Timestamp("2021-01-01") + pd.to_timedelta(seconds, unit="s")).regular < 0.2


@pytest.mark.parametrize(
    "times", [[], ["2024-01-01"], ["2024-01-01", "2024-01-01"], ["2024-01-01", None], ["1700-01-01", "2200-01-01"]]
)
def test_a_single_time_has_no_frequency(times):
    assert inferred(times) is None
