"""Which nights a job has missed, by its own cadence."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pandas as pd
import pytest

from models.calendar.cadence import missed_nights
from models.calendar.grid import TimeGrid

MADRID = ZoneInfo("Europe/Madrid")


def nights(first: str, last: str, every: str, zone: str = "UTC") -> list[datetime]:
    return [moment.to_pydatetime() for moment in pd.date_range(first, last, freq=every, tz=zone)]


def before_tonight(run: list[datetime], frequency: str, zone: str = "UTC") -> list[datetime] | None:
    """What was missed between the last night and tonight, the newest of some cutoffs."""
    *past, tonight = run
    return missed_nights(past, past[-1], tonight, TimeGrid(frequency, zone), tonight=tonight)


def texts(found: list[datetime] | None, zone: ZoneInfo | str = "UTC") -> list[str]:
    assert found is not None
    return [f"{moment.astimezone(ZoneInfo(str(zone))):%m-%d %H}" for moment in found]


def test_every_day_between_the_last_night_and_tonight_was_missed():
    run = [*nights("2024-03-01", "2024-03-05", "D"), datetime(2024, 3, 9, tzinfo=UTC)]
    assert texts(before_tonight(run, "D")) == ["03-06 00", "03-07 00", "03-08 00"]


def test_hourly_values_with_a_night_a_day_miss_days_and_not_hours():
    run = [*nights("2024-03-01T22:00", "2024-03-05T22:00", "D"), datetime(2024, 3, 8, 22, tzinfo=UTC)]
    assert texts(before_tonight(run, "h")) == ["03-06 22", "03-07 22"]


def test_a_night_a_day_stays_at_its_hour_where_the_clocks_change():
    run = [
        *nights("2024-03-25T22:00", "2024-03-29T22:00", "D", "Europe/Madrid"),
        datetime(2024, 4, 1, 22, tzinfo=MADRID),
    ]
    found = before_tonight(run, "h", "Europe/Madrid")
    assert texts(found, MADRID) == ["03-30 22", "03-31 22"]
    assert found is not None
    assert found[1] - found[0] == timedelta(hours=23)


def test_a_job_that_rests_at_weekends_misses_nothing_on_mondays():
    weekdays = nights("2024-03-04", "2024-03-18", "B")
    assert before_tonight(weekdays, "D") == []
    tuesday = [*weekdays[:-3], datetime(2024, 3, 19, tzinfo=UTC)]
    assert texts(before_tonight(tuesday, "D")) == ["03-14 00", "03-15 00", "03-18 00"]


def test_an_hourly_job_of_office_hours_misses_no_night():
    office = [m for m in nights("2024-03-04T08:00", "2024-03-15T18:00", "h") if m.weekday() < 5 and 8 <= m.hour <= 18]
    monday = [*office, datetime(2024, 3, 18, 9, tzinfo=UTC)]
    assert texts(before_tonight(monday, "h")) == ["03-18 08"]


@pytest.mark.parametrize(
    ("frequency", "run", "missed"),
    [
        ("W-SUN", ["2024-02-04", "2024-02-11", "2024-02-18", "2024-03-10"], ["02-25 00", "03-03 00"]),
        ("MS", ["2023-10-01", "2023-11-01", "2023-12-01", "2024-03-01"], ["01-01 00", "02-01 00"]),
        ("D", ["2024-01-06", "2024-01-13", "2024-01-20", "2024-02-10"], ["01-27 00", "02-03 00"]),
        ("D", ["2024-01-01", "2024-01-03", "2024-01-05", "2024-01-09"], ["01-07 00"]),
        ("B", ["2024-03-06", "2024-03-07", "2024-03-08", "2024-03-13"], ["03-11 00", "03-12 00"]),
    ],
)
def test_other_cadences_are_kept(frequency, run, missed):
    moments = [datetime.fromisoformat(day).replace(tzinfo=UTC) for day in run]
    assert texts(before_tonight(moments, frequency)) == missed


def test_a_night_whose_source_was_an_hour_late_is_not_missed():
    run = [*nights("2024-03-01T22:00", "2024-03-05T22:00", "D"), datetime(2024, 3, 6, 21, tzinfo=UTC)]
    assert before_tonight(run, "h") == []


def test_of_a_job_that_has_run_twice_nobody_knows_the_cadence():
    run = nights("2024-03-01", "2024-03-02", "D")
    assert missed_nights(run, run[0], datetime(2024, 3, 9, tzinfo=UTC), TimeGrid("D")) is None
