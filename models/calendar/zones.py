"""Conversion between UTC and the local time of a zone, for millions of instants at once.

pandas asks `zoneinfo` for one instant at a time, which takes microseconds. A zone changes its offset a few hundred
times in two centuries, so the changes are found once and looked up.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache, cached_property, lru_cache
from zoneinfo import ZoneInfo, available_timezones

import numpy as np

from models.arrays import BoolArray, IntArray

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIRST, LAST = datetime(1900, 1, 1, tzinfo=UTC), datetime(2101, 1, 1, tzinfo=UTC)
# Offsets before this do not matter today: local mean times with seconds, or half hours that were abolished.
RECENT = datetime(1990, 1, 1, tzinfo=UTC)
# No zone has returned to its former offset sooner: looking every day finds the same changes in all zones.
LOOK_EVERY = timedelta(days=5)


@dataclass(frozen=True)
class ZoneOffsets:
    """A zone's offsets from UTC between 1900 and 2100. Before and after, the first and the last one apply.

    Attributes:
        changes: Shape (change,), UTC microseconds since 1970 from which the next offset applies.
        offsets: Shape (change + 1,), microseconds by which local time is ahead of UTC.
    """

    changes: IntArray
    offsets: IntArray

    @property
    def recent(self) -> IntArray:
        """The offsets since 1990."""
        return self.offsets[np.searchsorted(self.changes, _since_epoch(RECENT), side="right") :]

    def to_clock(self, utc: IntArray) -> IntArray:
        """Local times of UTC instants, in microseconds since 1970."""
        return utc + self.offsets[np.searchsorted(self.changes, utc, side="right")]

    def furthest_clock(self, utc: IntArray) -> IntArray:
        """The latest local time that the clock had shown by each UTC instant."""
        change = np.searchsorted(self.changes, utc, side="right")
        before = np.concatenate([[np.iinfo(np.int64).min], self._changes_on_clock - 1])
        latest: IntArray = np.maximum(utc + self.offsets[change], before[change])
        return latest

    def from_clock(self, clock: IntArray, again: BoolArray | None = None) -> tuple[IntArray, BoolArray]:
        """UTC instants of local times, and whether the clock ever showed them.

        Args:
            clock: Shape (n,), microseconds since 1970.
            again: Shape (n,), whether a time that was shown twice is of the second time; None for the first.

        Returns:
            Shape (n,) each. A time that was skipped becomes the instant of the change.
        """
        # In local time, a change happens when the time of the old offset is reached, whether it goes forward or back.
        change = np.searchsorted(self._changes_on_clock, clock, side="right")
        utc = clock - self.offsets[change]
        earliest = self._starts[change]
        exists = utc >= earliest
        utc = np.maximum(utc, earliest)
        if again is not None and again.any():
            utc[again] = clock[again] - self.offsets[change[again] + 1]
        return utc, exists

    @property
    def repeated(self) -> tuple[IntArray, IntArray]:
        """First and last (excluded) microsecond of each stretch of local time that was shown twice, oldest first."""
        back = np.flatnonzero(np.diff(self.offsets) < 0)
        return self.changes[back] + self.offsets[back + 1], self._changes_on_clock[back]

    def past_repeat(self, utc: int) -> int:
        """The last microsecond of the second pass if an instant lies in either pass; otherwise the instant."""
        back = np.diff(self.offsets) < 0
        length = -np.diff(self.offsets)
        inside = back & (self.changes - length <= utc) & (utc < self.changes + length)
        return int((self.changes + length)[inside][0] - 1) if inside.any() else utc

    @cached_property
    def _changes_on_clock(self) -> IntArray:
        """The local time that the old offset gives at each change, shape (change,)."""
        return self.changes + self.offsets[:-1]

    @cached_property
    def _starts(self) -> IntArray:
        """The instant from which each offset applies, shape (change + 1,)."""
        return np.concatenate([[np.iinfo(np.int64).min], self.changes]).astype(np.int64)


@cache
def zone_names() -> frozenset[str]:
    """Every name of the IANA database; `zoneinfo` would read hundreds of files each time."""
    return frozenset(available_timezones())


@lru_cache(maxsize=64)
def zone_offsets(time_zone: str) -> ZoneOffsets:
    """The offsets of a zone of the IANA database, found by trying `zoneinfo` every few days."""
    if time_zone == "UTC":
        # Every job meets it, and looking takes hundredths of a second.
        return ZoneOffsets(np.array([], np.int64), np.array([0], np.int64))
    zone = ZoneInfo(time_zone)

    def offset(at: datetime) -> timedelta:
        # Of an instant in UTC that names the zone already; `astimezone` would take twice as long.
        shift = zone.fromutc(at).utcoffset()
        return shift if shift is not None else timedelta(0)

    at, last = FIRST.replace(tzinfo=zone), LAST.replace(tzinfo=zone)
    changes, offsets = [], [offset(at)]
    while at < last:
        later = at + LOOK_EVERY
        if (new := offset(later)) != offsets[-1]:
            low, high = at, later
            while high - low > timedelta(seconds=1):
                middle = low + timedelta(seconds=(high - low) // timedelta(seconds=1) // 2)
                low, high = (middle, high) if offset(middle) == offsets[-1] else (low, middle)
            changes.append(high.replace(tzinfo=UTC))
            offsets.append(new)
        at = later
    return ZoneOffsets(
        np.array([_since_epoch(change) for change in changes], np.int64),
        np.array([shift // timedelta(microseconds=1) for shift in offsets], np.int64),
    )


def _since_epoch(at: datetime) -> int:
    return (at - EPOCH) // timedelta(microseconds=1)
