"""Which crons and zones are taken, and what is said of the others."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from flows.job.cron import Schedule, next_times, to_schedule
from flows.job.job import JobError


@pytest.mark.parametrize(
    ("cron", "zone", "local"),
    [
        ("0 3 * * *", "Europe/Madrid", "2024-03-30T03:00+01:00"),
        ("  0  3 * * MON-FRI ", "UTC", "2024-04-01T03:00+00:00"),
        ("15 4 L * *", "UTC", "2024-03-31T04:15+00:00"),
        ("@daily", "Asia/Kolkata", "2024-03-31T00:00+05:30"),
        ("0 0 29 feb *", "UTC", "2028-02-29T00:00+00:00"),
    ],
)
def test_a_schedule_has_its_next_time_by_the_clock_of_its_zone(cron, zone, local):
    [found] = next_times(to_schedule(cron, zone), datetime(2024, 3, 30, tzinfo=UTC), 1)
    assert found == datetime.fromisoformat(local)
    assert found.utcoffset() == datetime.fromisoformat(local).utcoffset()


def test_the_next_times_stay_at_their_hour_when_the_clocks_change():
    found = next_times(Schedule("0 3 * * *", "Europe/Madrid"), datetime(2024, 3, 30, tzinfo=UTC), 3)
    assert [each.astimezone(UTC).isoformat() for each in found] == [
        "2024-03-30T02:00:00+00:00",
        "2024-03-31T01:00:00+00:00",
        "2024-04-01T01:00:00+00:00",
    ]


@pytest.mark.parametrize(
    ("cron", "words"),
    [
        ("0 3 * * * *", r"has 6 fields and needs five: minute, hour, .*, and seconds cannot be said\. 0 3 \* \* \* is"),
        ("0 3 * *", "has 4 fields and needs five"),
        ("", "has 0 fields and needs five"),
        ("0 25 * * *", r"has the hour '25', which cannot be read\. Write 0 to 23;"),
        ("0 3 * * mon-frei", "has the day of the week 'mon-frei', which cannot be read"),
        ("*/0 3 * * *", r"has the minute '\*/0', which"),
        ("R 3 * * *", "has the minute 'R', which"),
        ("0 h(1-4) * * *", r"has the hour 'h\(1-4\)', which"),
        ("0 3 31 2 *", "never comes: no month that it names has such a day"),
        ("@reboot", "no alias '@reboot' of a cron; there are @hourly, @daily"),
        ("1," * 100 + "1 * * * *", "has 209 characters; the longest that is read has 200"),
    ],
)
def test_a_cron_that_never_runs_or_cannot_be_read_is_refused_with_the_remedy(cron, words):
    with pytest.raises(JobError, match=words):
        to_schedule(cron, "UTC")


@pytest.mark.parametrize(
    ("zone", "words"),
    [
        ("Europe/Madird", "no time zone 'Europe/Madird'. Did you mean Europe/Madrid"),
        ("madrid", r"Did you mean Europe/Madrid\?"),
        ("New York", r"Did you mean America/New_York\?"),
        ("", "Write a name of the IANA database, such as Europe/Madrid or UTC"),
        ("../../etc/passwd", "Write a name of the IANA database"),
    ],
)
def test_a_zone_that_does_not_exist_is_refused_with_those_that_are_like_it(zone, words):
    with pytest.raises(JobError, match=words):
        to_schedule("0 3 * * *", zone)
