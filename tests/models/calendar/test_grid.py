"""The time grid against pandas' own calendars and zoneinfo's own clocks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.calendar.grid import TimeGrid

ZONES = ("UTC", "Europe/Madrid", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "America/Sao_Paulo")
SUB_DAILY = ("h", "15min", "5min", "min")
CALENDAR = ("D", "B", "W-SUN", "W-WED", "MS", "ME", "QS", "QS-FEB", "QE", "QE-NOV", "YS", "YS-APR", "YE", "YE-JUN")
MULTIPLES = ("2h", "6h", "90min", "7min", "36h", "24h", "2D", "10D", "3B", "2W-MON", "2MS", "5ME", "2QS", "3YS")
# Years in which the clocks of all zones above were read from the same kind of rules.
FIRST, LAST = datetime(1990, 1, 1, tzinfo=UTC), datetime(2060, 1, 1, tzinfo=UTC)
MOMENTS = st.datetimes(FIRST.replace(tzinfo=None), LAST.replace(tzinfo=None))


def instants(grid: TimeGrid, index: np.ndarray) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(grid.to_utc(index), tz="UTC")


def local_times(start: str, end: str, frequency: str) -> np.ndarray:
    return pd.date_range(start, end, freq=frequency).to_numpy().astype("datetime64[us]")


@given(st.sampled_from(SUB_DAILY + CALENDAR + MULTIPLES), st.sampled_from(ZONES), st.data())
def test_the_instant_of_a_position_has_that_position(frequency: str, zone: str, data: st.DataObject) -> None:
    grid = TimeGrid(frequency, zone)
    lowest, highest = grid.to_index(pd.DatetimeIndex([FIRST, LAST]))[0]
    index = np.array(data.draw(st.lists(st.integers(int(lowest), int(highest)), min_size=1)), np.int64)

    found, on_grid = grid.to_index(instants(grid, index))

    assert on_grid.all()
    np.testing.assert_array_equal(found, index)


@given(
    st.sampled_from(SUB_DAILY + CALENDAR),
    st.sampled_from(ZONES),
    MOMENTS,
)
def test_a_position_is_the_newest_one_not_after_the_instant(frequency: str, zone: str, moment: datetime) -> None:
    grid = TimeGrid(frequency, zone)
    instant = pd.DatetimeIndex([moment], tz="UTC")

    index, _ = grid.to_index(instant)

    assert instants(grid, index)[0] <= instant[0] < instants(grid, index + 1)[0]


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("frequency", CALENDAR)
def test_local_dates_of_the_calendar_are_consecutive_positions(frequency: str, zone: str) -> None:
    dates = local_times("1985-03-01", "2035-11-30", frequency)

    index, on_grid = TimeGrid(frequency, zone).to_index(dates)

    assert on_grid.all()
    assert (np.diff(index) == 1).all()
    assert (TimeGrid(frequency, zone).to_local(index) == dates).all()


@pytest.mark.parametrize("zone", ["Europe/Madrid", "America/New_York", "Asia/Kolkata"])
@pytest.mark.parametrize("frequency", ["h", "15min"])
def test_hours_that_pass_are_counted_through_every_change_of_the_clocks(frequency: str, zone: str) -> None:
    passing = pd.date_range("2024-01-01", "2025-01-02", freq=frequency, tz=zone)

    index, on_grid = TimeGrid(frequency, zone).to_index(passing)

    assert on_grid.all()
    assert (np.diff(index) == 1).all()


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Madrid", "2024-03-31", 23),
        ("Europe/Madrid", "2024-10-27", 25),
        ("America/New_York", "2024-03-10", 23),
        ("America/New_York", "2024-11-03", 25),
        ("America/New_York", "2024-11-04", 24),
    ],
)
def test_a_day_on_which_the_clocks_change_has_the_hours_it_has(zone: str, day: str, hours: int) -> None:
    midnights = np.array([day, np.datetime64(day) + 1], "datetime64[us]")

    index, on_grid = TimeGrid("h", zone).to_index(midnights)

    assert on_grid.all()
    assert index[1] - index[0] == hours


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("frequency", ["h", "15min", "D", "W-MON", "MS", "QS", "B"])
def test_clocks_show_what_zoneinfo_says(frequency: str, zone: str) -> None:
    grid = TimeGrid(frequency, zone)
    first = grid.to_index(pd.DatetimeIndex(["2024-03-01"], tz="UTC"))[0][0]
    index = first + np.arange(0, 20_000, 97)
    index = index[grid.to_utc(index) < np.datetime64("2090-01-01")]

    shown = [moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None) for moment in instants(grid, index).to_pydatetime()]

    # Sao Paulo's and Lord Howe's skipped times are the only ones that a clock never shows; none is met after 2024.
    assert list(grid.to_local(index).to_pydatetime()) == shown


@pytest.mark.parametrize("zone", ["Europe/Madrid", "America/New_York"])
def test_naive_times_read_as_zoneinfo_reads_them(zone: str) -> None:
    clock = local_times("2023-12-31", "2025-01-02", "15min")
    grid = TimeGrid("15min", zone)

    index, on_grid = grid.to_index(clock)

    # fold=0 is the first of two readings, and zoneinfo's answer for a skipped time lies on no such clock.
    read = [moment.replace(tzinfo=ZoneInfo(zone), fold=0) for moment in pd.DatetimeIndex(clock).to_pydatetime()]
    back = [moment.astimezone(UTC).astimezone(ZoneInfo(zone)) for moment in read]
    exists = [
        shown.replace(tzinfo=None) == moment.replace(tzinfo=None) for shown, moment in zip(back, read, strict=True)
    ]
    np.testing.assert_array_equal(on_grid, exists)
    expected = pd.DatetimeIndex([each.astimezone(UTC) for each in read])
    assert (instants(grid, index)[exists] == expected[exists]).all()


def test_a_skipped_hour_lies_off_the_grid_at_the_first_instant_after_it() -> None:
    grid = TimeGrid("h", "Europe/Madrid")

    index, on_grid = grid.to_index(np.array(["2024-03-31T01", "2024-03-31T02", "2024-03-31T03"], "datetime64[us]"))

    assert on_grid.tolist() == [True, False, True]
    assert (index - index[0]).tolist() == [0, 1, 1]


def test_an_hour_that_comes_twice_is_the_first_one() -> None:
    grid = TimeGrid("h", "Europe/Madrid")

    index, on_grid = grid.to_index(np.array(["2024-10-27T02", "2024-10-27T03"], "datetime64[us]"))

    assert on_grid.all()
    # 02:00 in summer time; 02:00 in winter time and then 03:00 follow it.
    assert grid.to_utc(index).astype("datetime64[h]").astype(str).tolist() == ["2024-10-27T00", "2024-10-27T02"]


def test_hours_of_a_zone_that_moves_by_half_an_hour_stay_full_hours_of_its_clock() -> None:
    clock = local_times("2024-01-01", "2024-12-31", "h")

    index, on_grid = TimeGrid("h", "Australia/Lord_Howe").to_index(clock)

    assert on_grid.all()
    assert (np.diff(index) == 1).all()


@pytest.mark.parametrize("frequency", ["2h", "6h", "90min", "12h", "24h"])
def test_steps_that_divide_a_day_stay_at_the_same_hours_all_year(frequency: str) -> None:
    clock = local_times("2024-01-01", "2024-12-31", frequency)

    index, on_grid = TimeGrid(frequency, "Europe/Madrid").to_index(clock)

    assert on_grid.all()
    assert (np.diff(index) == 1).all()


def test_a_zone_that_skipped_a_day_keeps_its_hours_like_any_other() -> None:
    # Apia crossed the date line in 2011, and put its clocks forward and back by an hour until 2021.
    clock = local_times("2012-01-01", "2014-12-31", "2h")

    index, on_grid = TimeGrid("2h", "Pacific/Apia").to_index(clock)

    assert on_grid.all()
    assert (np.diff(index) == 1).all()


@pytest.mark.parametrize(
    ("instant", "bound"),
    [
        ("2024-10-26T23:59:59", "2024-10-26T23:59:59"),
        ("2024-10-27T00:00", "2024-10-27T01:59:59.999999"),
        ("2024-10-27T01:15", "2024-10-27T01:59:59.999999"),
        ("2024-10-27T02:00", "2024-10-27T02:00"),
        ("2024-03-31T01:00", "2024-03-31T01:00"),
    ],
    ids=["before", "the first 02:00", "the second 02:15", "03:00", "the hour that is skipped"],
)
def test_a_bound_for_local_times_lies_past_an_hour_that_comes_twice(instant: str, bound: str) -> None:
    found = TimeGrid("h", "Europe/Madrid").past_repeat(datetime.fromisoformat(instant).replace(tzinfo=UTC))

    assert found == datetime.fromisoformat(bound).replace(tzinfo=UTC)


def test_a_day_whose_midnight_is_skipped_begins_at_the_first_instant_after_it() -> None:
    grid = TimeGrid("D", "America/Sao_Paulo")

    index, on_grid = grid.to_index(np.array(["2018-11-04"], "datetime64[us]"))

    assert on_grid.all()
    assert grid.to_utc(index)[0] == np.datetime64("2018-11-04T03:00")
    assert instants(grid, index)[0].tz_convert("America/Sao_Paulo") == pd.Timestamp("2018-11-04 01:00-02:00")


@pytest.mark.parametrize(
    ("frequency", "timestamp", "newest"),
    [
        ("h", "2024-05-05T10:30", "2024-05-05T10:00"),
        ("15min", "2024-05-05T10:14:59.999999", "2024-05-05T10:00"),
        ("D", "2024-05-05T06:00", "2024-05-05"),
        ("B", "2024-05-05", "2024-05-03"),
        ("W-MON", "2024-05-05", "2024-04-29"),
        ("MS", "2024-05-05", "2024-05-01"),
        ("ME", "2024-05-05", "2024-04-30"),
        ("QS", "2024-05-01", "2024-04-01"),
        ("QE", "2024-05-31", "2024-03-31"),
        ("YE", "2024-12-30", "2023-12-31"),
        ("YS-APR", "2024-03-31", "2023-04-01"),
    ],
)
def test_a_timestamp_off_the_grid_has_the_position_before_it(frequency: str, timestamp: str, newest: str) -> None:
    grid = TimeGrid(frequency, "Asia/Kolkata")

    index, on_grid = grid.to_index(np.array([timestamp], "datetime64[us]"))

    assert not on_grid[0]
    assert grid.to_local(index)[0] == pd.Timestamp(newest)


def test_midnights_of_another_zone_are_no_days_of_this_one() -> None:
    midnights = pd.DatetimeIndex(["2024-05-05 00:00", "2024-05-04 22:00"], tz="UTC")

    _, on_grid = TimeGrid("D", "Europe/Madrid").to_index(midnights)

    assert on_grid.tolist() == [False, True]


def test_a_missing_timestamp_lies_off_the_grid() -> None:
    for timestamps in (pd.DatetimeIndex(["NaT", "2024-01-01"]), pd.DatetimeIndex(["NaT", "2024-01-01"], tz="UTC")):
        index, on_grid = TimeGrid("D").to_index(timestamps)

        assert index[0] == 0
        assert on_grid.tolist() == [False, True]


def test_nanoseconds_and_microseconds_give_the_same_positions() -> None:
    clock = local_times("2024-01-01", "2024-02-01", "h")

    fine, _ = TimeGrid("h").to_index(clock.astype("datetime64[ns]"))

    np.testing.assert_array_equal(fine, TimeGrid("h").to_index(clock)[0])


@pytest.mark.parametrize(
    ("frequency", "seasons", "seconds"),
    [
        ("h", (24, 168), 3_600),
        ("15min", (96, 672), 900),
        ("5min", (288, 2_016), 300),
        ("min", (1_440, 10_080), 60),
        ("s", (3_600, 86_400), 1),
        ("6h", (4, 28), 21_600),
        ("D", (7,), 86_400),
        ("2D", (7,), 172_800),
        ("B", (5,), 120_960),
        ("W", (52,), 604_800),
        ("2W-MON", (26,), 1_209_600),
        ("MS", (12,), 2_629_746),
        ("ME", (12,), 2_629_746),
        ("2MS", (6,), 5_259_492),
        ("QS", (4,), 7_889_238),
        ("QE-NOV", (4,), 7_889_238),
        ("YS", (1,), 31_556_952),
        ("YE", (1,), 31_556_952),
    ],
)
def test_seasons_follow_from_the_frequency(frequency: str, seasons: tuple[int, ...], seconds: float) -> None:
    grid = TimeGrid(frequency)

    assert grid.default_season_lengths == seasons
    assert grid.step_seconds == pytest.approx(seconds)
    assert grid.steps_per_day == pytest.approx(timedelta(days=1).total_seconds() / seconds)


@pytest.mark.parametrize(
    ("frequency", "remedy"),
    [("H", "now writes h"), ("M", "MS or ME"), ("15T", "min"), ("nonsense", "15min"), ("", "15min"), ("-1D", "15min"),
     ("0D", "15min"), ("ms", "15min"), ("bh", "15min"), ("SMS", "15min"), ("d", "15min"), ("W-FOO", "15min")],
)  # fmt: skip
def test_a_frequency_that_no_grid_can_have_is_refused_with_the_remedy(frequency: str, remedy: str) -> None:
    with pytest.raises(ValueError, match=remedy):
        TimeGrid(frequency)


def test_an_unknown_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="'Madrid' is not a time zone"):
        TimeGrid("D", "Madrid")
