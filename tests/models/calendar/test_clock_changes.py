"""Grids, calendar inputs and instants around every change of the clocks, against datetime and zoneinfo alone.

What is expected is worked out row by row: instants are walked one step at a time, and dates one day at a time.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

from models.baselines.seasonal_naive import seasonal_naive
from models.calendar.calendar_features import calendar_features
from models.calendar.grid import TimeGrid
from models.calendar.repeated_hours import second_pass
from models.panel.panel import Panel
from models.trailing.window_shape import WindowShape

# Half-hour and quarter-hour offsets; changes by half an hour (Lord Howe) and by a day (Apia); midnights that are
# skipped (Sao Paulo) or come twice (Havana, the Azores, St John's until 2011); rules that follow the moon (Casablanca).
ZONES = (
    "Europe/Madrid", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "Asia/Kathmandu", "America/St_Johns",
    "Africa/Casablanca", "Pacific/Apia", "America/Sao_Paulo", "America/Havana", "Atlantic/Azores", "UTC",
)  # fmt: skip
FIRST, LAST = date(2010, 1, 1), date(2020, 1, 1)
NEVER_CAME = ("Pacific/Apia", date(2011, 12, 30))
DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
STEPS = {"h": timedelta(hours=1), "30min": 30 * MINUTE, "15min": 15 * MINUTE, "5min": 5 * MINUTE}
DAYS_OF_WEEK = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")
MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
CALENDAR = (
    "D", "B", *(f"W-{day}" for day in DAYS_OF_WEEK), "MS", "ME", *(f"QS-{month}" for month in MONTHS[:3]),
    *(f"QE-{month}" for month in MONTHS[-3:]), "YS", "YS-APR", "YE", "YE-JUN",
)  # fmt: skip


def wall(instant: datetime, zone: str) -> datetime:
    return instant.astimezone(ZoneInfo(zone)).replace(tzinfo=None, fold=0)


def begins(day: date, zone: str) -> datetime:
    """The first instant at which the zone's date is `day` or later."""
    midnight = datetime(day.year, day.month, day.day)
    first, second = (midnight.replace(tzinfo=ZoneInfo(zone), fold=fold).astimezone(UTC) for fold in (0, 1))
    if wall(first, zone) == midnight:
        return first
    # A skipped time read with the offset after the change lies before the change: look from there.
    instant = second
    while wall(instant, zone) < midnight:
        instant += MINUTE
    return instant


def days(first: date, last: date) -> Iterator[date]:
    while first < last:
        yield first
        first += DAY


@cache
def beginnings(zone: str) -> dict[date, datetime]:
    """Every day of the ten years and its first instant."""
    return {day: begins(day, zone) for day in days(FIRST, LAST)}


@cache
def days_of_change(zone: str) -> list[date]:
    """The days that are no 24 hours long."""
    starts = beginnings(zone)
    return [day for day in starts if day + DAY in starts and starts[day + DAY] - starts[day] != DAY]


def around(zone: str, step: timedelta) -> Iterator[list[datetime]]:
    """Every instant a step apart from local midnight the day before each change to midnight the day after it."""
    for day in days_of_change(zone) or [date(2015, 3, 29)]:
        instant, last = begins(day - DAY, zone), begins(day + DAY, zone)
        yield [instant + i * step for i in range((last - instant) // step)]


def local(times: list[datetime] | list[date]) -> np.ndarray:
    return np.array(times, "datetime64[us]")


def utc(times: list[datetime]) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(local([time.replace(tzinfo=None) for time in times]), tz="UTC")


def is_label(day: date, frequency: str) -> bool:
    """Whether a step of the frequency bears this date."""
    kind, _, anchor = frequency.partition("-")
    if kind in ("D", "B"):
        return kind == "D" or day.weekday() < 5
    if kind == "W":
        return DAYS_OF_WEEK[day.weekday()] == anchor
    apart = {"M": 1, "Q": 3, "Y": 12}[kind[0]]
    phase = MONTHS.index(anchor) if anchor else 0 if kind.endswith("S") else 11
    edge = day.day == 1 if kind.endswith("S") else (day + DAY).day == 1
    return edge and (day.month - 1 - phase) % apart == 0


def test_the_ten_years_hold_the_changes_that_make_trouble() -> None:
    def hours(zone: str) -> list[float]:
        starts = beginnings(zone)
        return sorted((starts[day + DAY] - starts[day]) / timedelta(hours=1) for day in days_of_change(zone))

    assert hours("Europe/Madrid") == hours("America/Havana") == [23] * 10 + [25] * 10
    assert hours("Australia/Lord_Howe") == [23.5] * 10 + [24.5] * 10
    # Set forward from 24:00 to 01:00 in October, and back from 24:00 to 23:00 in February, until 2019.
    assert hours("America/Sao_Paulo") == [23] * 9 + [25] * 10
    assert hours("Pacific/Apia")[0] == 0
    assert len(hours("Africa/Casablanca")) > 30
    assert hours("Asia/Kolkata") == hours("Asia/Kathmandu") == hours("UTC") == []


@pytest.mark.parametrize(
    ("frequency", "zone"),
    [(frequency, zone) for frequency in STEPS for zone in ZONES if (frequency, zone) != ("h", "Australia/Lord_Howe")],
)
def test_history_in_local_time_and_in_utc_has_the_steps_that_passed(frequency: str, zone: str) -> None:
    grid = TimeGrid(frequency, zone)
    for instants in around(zone, STEPS[frequency]):
        clock = local([wall(instant, zone) for instant in instants])
        again, in_doubt = second_pass(clock, np.zeros(len(clock), int), grid)

        index, on_grid = grid.to_index(clock, again)
        of_utc, utc_on_grid = grid.to_index(utc(instants))

        assert on_grid.all()
        assert utc_on_grid.all()
        assert not in_doubt.any()
        assert (index == index[0] + np.arange(len(index))).all()
        assert (of_utc == index).all()
        assert (grid.to_utc(index) == local([instant.replace(tzinfo=None) for instant in instants])).all()
        assert (grid.to_local(index) == clock).all()


def test_hours_of_a_clock_that_moves_by_half_an_hour_begin_where_it_shows_them() -> None:
    zone, grid = "Australia/Lord_Howe", TimeGrid("h", "Australia/Lord_Howe")
    for instants in around(zone, 30 * MINUTE):
        full = {shown: instant for instant in reversed(instants) if (shown := wall(instant, zone)).minute == 0}
        clock = sorted(full)
        # In spring 02:00 is skipped, so that 02:00 to 03:00 begins at 02:30; in autumn 01:30 comes twice.
        index, on_grid = grid.to_index(local(clock))
        assert on_grid.all()
        assert (grid.to_utc(index) == local([full[shown].replace(tzinfo=None) for shown in clock])).all()
        assert index[-1] - index[0] == 47


@pytest.mark.parametrize("zone", ZONES)
def test_dates_have_consecutive_steps_that_begin_when_the_zone_comes_to_them(zone: str) -> None:
    for frequency in CALENDAR:
        grid = TimeGrid(frequency, zone)
        labels = [day for day in beginnings(zone) if is_label(day, frequency)]
        starts = [beginnings(zone)[day] for day in labels]
        came = [frequency != "D" or (zone, day) != NEVER_CAME for day in labels]

        index, on_grid = grid.to_index(local(labels))
        of_utc, utc_on_grid = grid.to_index(utc(starts))

        assert on_grid.tolist() == came
        assert (index == index[0] + np.arange(len(labels))).all()
        assert (grid.to_utc(index) == utc(starts).tz_localize(None)).all()
        assert (grid.to_local(index) == local(labels)).all()
        assert utc_on_grid.all()
        assert (of_utc == index)[came].all()


@pytest.mark.parametrize("zone", ZONES)
def test_an_instant_belongs_to_the_newest_day_week_and_month_that_has_begun(zone: str) -> None:
    for frequency in ("D", "B", "W-SUN", "MS", "ME"):
        grid = TimeGrid(frequency, zone)
        labels = [day for day in beginnings(zone) if is_label(day, frequency) and (zone, day) != NEVER_CAME]
        starts = [beginnings(zone)[day] for day in labels]
        positions = grid.to_index(local(labels))[0]
        for instants in around(zone, 20 * MINUTE):
            instants = [instant for instant in instants if instant >= starts[0]]

            index, on_grid = grid.to_index(utc(instants))

            newest = [bisect_right(starts, instant) - 1 for instant in instants]
            assert (index == positions[newest]).all()
            # Either midnight is the day's own where it comes twice.
            own = [
                starts[place] == instant or wall(instant, zone) == datetime.combine(labels[place], datetime.min.time())
                for place, instant in zip(newest, instants, strict=True)
            ]
            assert on_grid.tolist() == own


def test_a_midnight_that_comes_twice_is_its_days_both_times() -> None:
    # PostgreSQL's date_trunc('day', t, 'America/Havana') gives the second one.
    both = pd.DatetimeIndex(["2019-11-03 04:00", "2019-11-03 05:00"], tz="UTC")

    index, on_grid = TimeGrid("D", "America/Havana").to_index(both)

    assert on_grid.all()
    assert index[0] == index[1]


@pytest.mark.parametrize("zone", sorted(set(ZONES) - {"Australia/Lord_Howe"}))
def test_calendar_inputs_of_a_short_step_are_those_of_the_clock(zone: str) -> None:
    grid = TimeGrid("30min", zone)
    for instants in around(zone, STEPS["30min"]):
        first = grid.to_index(utc(instants[:1]))[0][0]

        features, names = calendar_features(grid, first, first + len(instants) - 1)

        turns, weekdays = [], []
        for instant in instants:
            shown = wall(instant, zone)
            turn = 2 * math.pi * (shown.hour * 60 + shown.minute) / 1_440
            turns.append([math.sin(turn), math.cos(turn)])
            weekdays.append([float(shown.weekday() == day) for day in range(7)])
        columns = [names.index("time_of_day_sin_1"), names.index("time_of_day_cos_1")]
        np.testing.assert_allclose(features[:, columns], turns, atol=1e-6)
        np.testing.assert_array_equal(features[:, [i for i, name in enumerate(names) if "weekday" in name]], weekdays)


@pytest.mark.parametrize("frequency", CALENDAR)
def test_calendar_inputs_of_a_date_are_those_of_the_date(frequency: str) -> None:
    zone = "Pacific/Apia"
    grid = TimeGrid(frequency, zone)
    labels = [day for day in days(date(2011, 6, 1), date(2013, 2, 1)) if is_label(day, frequency)]
    first, last = grid.to_index(local([labels[0], labels[-1]]))[0]

    features, names = calendar_features(grid, first, last)

    assert len(features) == len(labels)
    for row, day in zip(features, labels, strict=True):
        turn = 2 * math.pi * (day.timetuple().tm_yday - 1) / 365.2425
        expected = {f"weekday_{name.lower()}": float(day.weekday() == i) for i, name in enumerate(DAYS_OF_WEEK)}
        expected |= {f"month_{name.lower()}": float(day.month == i + 1) for i, name in enumerate(MONTHS)}
        expected |= {f"quarter_{i + 1}": float((day.month - 1) // 3 == i) for i in range(4)}
        expected |= {"day_of_month": day.day / 31}
        for turns in (1, 2):
            expected |= {f"time_of_year_sin_{turns}": math.sin(turns * turn)}
            expected |= {f"time_of_year_cos_{turns}": math.cos(turns * turn)}
        np.testing.assert_allclose(row, [expected[name] for name in names], atol=1e-6)


@pytest.mark.parametrize(
    ("change", "moved"), [(datetime(2024, 3, 31, 1), 1), (datetime(2024, 10, 27, 1), -1)], ids=["forward", "back"]
)
def test_a_season_of_hours_is_hours_that_pass_and_another_hour_of_the_clock_until_it_has_passed_once(change, moved):
    grid = TimeGrid("h", "Europe/Madrid")
    (at_change,), _ = grid.to_index(pd.DatetimeIndex([change], tz="UTC"))
    first = at_change - 240

    def hours(index: np.ndarray) -> np.ndarray:
        return grid.to_local(index).hour.to_numpy()

    def night(cutoff: int) -> tuple[np.ndarray, list[np.ndarray]]:
        """The clock's hours two days ahead, and those that the naive and each lag of the network would give."""
        history = np.arange(first, cutoff + 1)
        panel = Panel(
            values=hours(history).astype(np.float32),
            offsets=np.array([0, len(history)]),
            series_ids=np.array(["a"]),
            frequency="h",
            time_zone="Europe/Madrid",
            cutoff_index=cutoff,
            season_lengths=(24,),
            horizon=48,
        )
        ahead = cutoff + 1 + np.arange(48)
        lags = WindowShape(24, 1, horizon=48, seasons=(24,), cycles=(1,), smoothing=()).lags[:, 0]
        return hours(ahead), [seasonal_naive(panel, 48, 24)[0], hours(ahead - lags)]

    def differences(cutoff: int) -> list[list[int]]:
        shown, recalled = night(cutoff)
        return [np.mod(shown - each, 24).astype(int).tolist() for each in recalled]

    off = moved % 24
    # Twelve steps before the change, the last day knows nothing of it; a day after, all of it.
    assert differences(at_change - 13) == [[0] * 12 + [off] * 36] * 2
    assert differences(at_change + 11) == [([off] * 12 + [0] * 12) * 2] * 2
    assert differences(at_change + 23) == [[0] * 48] * 2
