"""Offsets of zones against zoneinfo, which answers for one instant at a time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from models.calendar.zones import zone_offsets

ZONES = ("UTC", "Europe/Madrid", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "Africa/Casablanca")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
FIRST, LAST = datetime(1900, 1, 2, tzinfo=UTC), datetime(2100, 12, 31, tzinfo=UTC)
MOMENTS = st.datetimes(FIRST.replace(tzinfo=None), LAST.replace(tzinfo=None))


def offset(zone: str, microseconds: int) -> int:
    shift = (EPOCH + microseconds * MICROSECOND).astimezone(ZoneInfo(zone)).utcoffset()
    assert shift is not None
    return shift // MICROSECOND


@given(st.sampled_from(ZONES), MOMENTS)
def test_the_clock_shows_what_zoneinfo_says(zone: str, moment: datetime) -> None:
    utc = (moment.replace(tzinfo=UTC) - EPOCH) // MICROSECOND

    assert zone_offsets(zone).to_clock(np.array([utc]))[0] == utc + offset(zone, utc)


def test_every_change_is_found_to_the_second() -> None:
    for zone in ZONES:
        found = zone_offsets(zone)
        for change, before, after in zip(found.changes.tolist(), found.offsets[:-1], found.offsets[1:], strict=True):
            assert offset(zone, change - 1_000_000) == before
            assert offset(zone, change) == after


@given(st.sampled_from(ZONES), MOMENTS)
def test_a_clock_reading_is_read_as_the_first_instant_that_shows_it(zone: str, shown: datetime) -> None:
    clock = (shown.replace(tzinfo=UTC) - EPOCH) // MICROSECOND
    first = shown.replace(tzinfo=ZoneInfo(zone), fold=0).astimezone(UTC)

    utc, exists = zone_offsets(zone).from_clock(np.array([clock]))

    assert exists[0] == (first.astimezone(ZoneInfo(zone)).replace(tzinfo=None) == shown)
    if exists[0]:
        assert EPOCH + int(utc[0]) * MICROSECOND == first


def test_a_zone_without_changes_has_one_offset() -> None:
    assert zone_offsets("UTC").offsets.tolist() == [0]
    assert zone_offsets("Asia/Kolkata").recent.tolist() == [5.5 * 3_600_000_000]
