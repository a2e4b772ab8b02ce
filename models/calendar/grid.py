"""The time grid: from timestamps to integers that differ by one from step to step, and back.

Hours and minutes count elapsed time, so a day on which the clocks change has 23 or 25 hours. Days, business days,
weeks, months, quarters and years are counted on the calendar of the zone, whatever their length.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from math import gcd

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.arrays import BoolArray, DatetimeArray, IntArray
from models.calendar.counting import index_of, last_business_day, phases, time_of
from models.calendar.frequency import DAY, DAYS_OF_YEAR, SECOND, Rule, WeekLabel, rule_of
from models.calendar.zones import EPOCH, ZoneOffsets, zone_names, zone_offsets

_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True)
class TimeGrid:
    """A regular grid of time in one zone.

    Multiples such as 2h, 2W-MON or 2MS count from 1970-01-01, its week, its month, unless `origin` names a step.

    Steps of ME, QE, YE, BME, BQE and BYE are named by their last day, and so are weeks unless `week_label` says
    otherwise: the step 2024-01-31 of ME is January. All others are named by their beginning.

    Some changes of the clocks are not a whole number of steps: those of Madrid for 2h; those of Lord Howe, where clocks
    move by half an hour, for h. Such steps are counted on the zone's clock if they divide a day, so that they stay at
    the same hours.

    A day that a zone skipped (30 December 2011 in Apia) keeps its position, so that weekdays keep theirs. No timestamp
    lies on it, and its instant is that of the next day.

    Args:
        frequency: A pandas offset alias: s, min, h, D, B, W-MON, MS, ME, BMS, BME, the same for quarters (Q) and years
            (Y), or a multiple.
        time_zone: A name of the IANA database.
        week_label: The day of a week that names it: W-SUN is Monday to Sunday, or Sunday to Saturday.
        origin: One step of the grid, in local time: 2W-FRI has two grids, D may begin at six in the morning.

    Raises:
        ValueError: where the frequency is none of these, the zone is unknown, or `origin` is no step.

    >>> index, on_grid = TimeGrid("D", "Europe/Madrid").to_index(np.array(["1970-01-02", "1970-01-02T12"], "M8[us]"))
    >>> index, on_grid
    (array([1, 1]), array([ True, False]))
    """

    frequency: str
    time_zone: str = "UTC"
    week_label: WeekLabel = "last_day"
    origin: str | None = None

    def __post_init__(self) -> None:
        if self.time_zone not in zone_names():
            raise ValueError(
                f"{self.time_zone!r} is not a time zone of the IANA database; use a name such as Europe/Madrid."
            )
        # A wrong frequency fails here, not at the first timestamp.
        _ = self.rule

    def to_index(
        self, timestamps: DatetimeArray | pd.DatetimeIndex, again: BoolArray | None = None
    ) -> tuple[IntArray, BoolArray]:
        """Grid positions of timestamps, and which of them lie on the grid.

        Args:
            timestamps: Shape (n,), to the microsecond; finer parts are cut off. Those with a zone are converted; those
                without are read on the clock of the grid's zone. NaT lies off the grid.
            again: Shape (n,): whether a timestamp without a zone, in an hour that the clocks showed twice, is of the
                second time. None: all are of the first.

        Returns:
            Shape (n,) each: the newest position that is not after the timestamp (0 for NaT), and whether the timestamp
            lies on that position. A midnight that the clocks showed twice lies on its day both times. An hour that they
            skipped lies off the grid; its position is that of the first instant after it.
        """
        time, missing, aware = _parsed(timestamps)
        if aware:
            index, on_grid = self._index_of_utc(time)
        elif self.rule.unit == "elapsed":
            utc, exists = self._offsets.from_clock(time, again)
            index = index_of(self.rule, utc)
            on_grid = exists & (time_of(self.rule, index) == utc)
        else:
            index = index_of(self.rule, time)
            on_grid = self._existed(index) & (time_of(self.rule, index) == time)
        return np.where(missing, 0, index), on_grid & ~missing

    def to_utc(self, index: npt.ArrayLike) -> DatetimeArray:
        """UTC instants of grid positions, datetime64[us], in the shape of `index`.

        The instant of a day is its midnight in the zone, or the first instant after it if the clocks skipped midnight.
        `to_index` of these instants, as UTC, gives `index` back, except for days that the zone skipped.
        """
        return self._utc(np.asarray(index, np.int64)).astype("datetime64[us]")

    def to_local(self, index: npt.ArrayLike) -> pd.DatetimeIndex:
        """The local times of grid positions of shape (n,), as the zone's clock shows them, without a zone."""
        position = time_of(self.rule, np.asarray(index, np.int64))
        clock = self._offsets.to_clock(position) if self.rule.unit == "elapsed" else position
        return pd.DatetimeIndex(clock.astype("datetime64[us]"))

    @property
    def repeated(self) -> tuple[IntArray, IntArray]:
        """The stretches of local time that hold two positions for each time, as microseconds since 1970.

        Shape (stretch,) each, oldest first: where they begin, and where they end (excluded).
        """
        begin, end = self._offsets.repeated
        twice = (end - begin) % self.rule.size == 0
        return (begin[twice], end[twice]) if self.rule.unit == "elapsed" else (begin[:0], end[:0])

    def past_repeat(self, instant: datetime) -> datetime:
        """The bound that includes every row up to `instant` whose timestamp names no zone.

        When the clocks go back, an earlier row can show a later time. So within such an hour the bound is the end of
        its second pass; otherwise it is the instant itself.
        """
        return EPOCH + self._offsets.past_repeat((instant.astimezone(UTC) - EPOCH) // _MICROSECOND) * _MICROSECOND

    def instant(self, index: int) -> datetime:
        """The UTC instant of one position."""
        return _datetime(self._utc(np.array([index])))

    def position(self, instant: datetime) -> int:
        """The position of the newest step that is not after an instant, which has a zone."""
        return self.positions([instant])[0]

    def positions(self, instants: Iterable[datetime]) -> list[int]:
        """The position of each of some instants, whatever their zones."""
        utc = [(instant.astimezone(UTC) - EPOCH) // _MICROSECOND for instant in instants]
        index: list[int] = self._index_of_utc(np.array(utc, np.int64))[0].tolist()
        return index

    def containing(
        self, timestamps: DatetimeArray | pd.DatetimeIndex, again: BoolArray | None = None
    ) -> tuple[IntArray, BoolArray]:
        """As `to_index`, but the position of the step into which a timestamp falls.

        A step that is named by its last day takes the days since the step before: a Wednesday falls into the W-SUN of
        the Sunday that comes.

        >>> TimeGrid("ME").containing(np.array(["2024-01-15", "2024-01-31T18"], "M8[us]"))[0] - 12 * 54
        array([0, 0])
        """
        index, on_grid = self.to_index(timestamps, again)
        if not self.rule.at_end:
            return index, on_grid
        return index + (self.times(timestamps) >= time_of(self.rule, index) + DAY), on_grid

    def times(self, timestamps: DatetimeArray | pd.DatetimeIndex) -> IntArray:
        """Timestamps as the rule counts them, shape (n,), microseconds: UTC for "elapsed", else local; 0 for NaT."""
        time, _, aware = _parsed(timestamps)
        if self.rule.unit == "elapsed":
            return time if aware else self._offsets.from_clock(time)[0]
        return self._offsets.furthest_clock(time) if aware else time

    @property
    def has_others(self) -> bool:
        """Whether its alias has other grids that begin a whole number of units later, as 2W-FRI has and D has not."""
        return self.rule.size > self.rule.base

    def first_step_at(self, phase: int) -> str:
        """The local time of position 0 of the grid with another phase, as `origin` names it."""
        first = time_of(self.rule._replace(phase=phase), np.zeros(1, np.int64))
        clock = self._offsets.to_clock(first) if self.rule.unit == "elapsed" else first
        return str(pd.Timestamp(clock.astype("datetime64[us]")[0]).isoformat())

    def begin(self, index: int) -> datetime:
        """The instant at which a step begins."""
        if not self.rule.at_end:
            return self.instant(index)
        day_after = time_of(self.rule, np.array([index - 1])) + DAY
        return _datetime(self._offsets.from_clock(day_after)[0])

    def newest_over(self, now: datetime, weekends: bool = False) -> int:
        """The position of the newest step that is over at a moment.

        Args:
            now: The moment, with a zone.
            weekends: Whether a business day lasts until the next one, because what happens between them counts to it.
        """
        moment = pd.DatetimeIndex([now])
        step = int(self.containing(moment)[0][0])
        if weekends or self.rule.unit != "business":
            return step - 1
        return step if self.times(moment)[0] >= last_business_day(self.rule, step) + DAY else step - 1

    @property
    def step_seconds(self) -> float:
        """Length of a step in seconds; its mean over many years where steps differ in length."""
        unit, size, *_ = self.rule
        if unit == "business":
            return size * 7 / 5 * 86_400
        if unit == "month":
            return size / 12 * DAYS_OF_YEAR * 86_400
        return size / SECOND

    @property
    def steps_per_day(self) -> float:
        """Steps in a day; below 1 where steps are longer."""
        return 86_400 / self.step_seconds

    @property
    def default_season_lengths(self) -> tuple[int, ...]:
        """The usual seasons of human activity, in steps, shortest first; (1,) where there is none.

        >>> TimeGrid("15min").default_season_lengths, TimeGrid("MS").default_season_lengths
        ((96, 672), (12,))
        """
        unit, size, *_ = self.rule
        if unit == "business":
            return (5 // gcd(5, size),)
        if unit == "month":
            return (12 // gcd(12, size),)
        if size >= 7 * DAY:
            return (max(1, round(DAYS_OF_YEAR * DAY / size)),)
        if size < 60 * SECOND:
            cycles = [3_600 * SECOND, DAY]
        elif size < DAY:
            cycles = [DAY, 7 * DAY]
        else:
            cycles = [7 * DAY]
        # A cycle that is not a whole number of steps repeats after several cycles: 2D has a season of 7 steps.
        return tuple(sorted({cycle // gcd(cycle, size) for cycle in cycles}))

    @cached_property
    def rule(self) -> Rule:
        """How this grid counts."""
        rule = rule_of(self.frequency, self._offsets, self.week_label)
        return rule if self.origin is None else self._through_origin(rule)

    @cached_property
    def _offsets(self) -> ZoneOffsets:
        return zone_offsets(self.time_zone)

    def _through_origin(self, rule: Rule) -> Rule:
        """The rule of the grid of the same alias that has the origin as one of its steps."""
        try:
            time = np.array([self.origin], "datetime64[us]").astype(np.int64)
        except ValueError:
            raise ValueError(f"origin {self.origin!r} is not a time; write 2024-01-05 or 2024-01-05T06:00.") from None
        if rule.unit == "elapsed":
            time = self._offsets.from_clock(time)[0]
        phase = int(phases(rule, time)[0])
        if phase < 0:
            raise ValueError(
                f"origin {self.origin!r} is no step of frequency {self.frequency!r}; name one of its steps, such as "
                f"{replace(self, origin=None).to_local(index_of(rule, time))[0]}."
            )
        return rule._replace(phase=phase)

    def _index_of_utc(self, utc: IntArray) -> tuple[IntArray, BoolArray]:
        """`to_index` of microseconds since 1970, in UTC."""
        if self.rule.unit == "elapsed":
            index = index_of(self.rule, utc)
            return index, time_of(self.rule, index) == utc
        index = index_of(self.rule, self._offsets.furthest_clock(utc))
        on_grid = self._utc(index) == utc
        rest = ~on_grid
        on_grid[rest] = time_of(self.rule, index[rest]) == self._offsets.to_clock(utc[rest])
        return index, on_grid

    def _existed(self, index: IntArray) -> BoolArray:
        """Whether positions in local time existed; False where the zone skipped them."""
        if self.rule.unit != "clock" or np.diff(self._offsets.offsets).max(initial=0) < self.rule.size:
            return np.ones(index.shape, bool)
        return self._utc(index) < self._utc(index + 1)

    def _utc(self, index: IntArray) -> IntArray:
        position = time_of(self.rule, index)
        return position if self.rule.unit == "elapsed" else self._offsets.from_clock(position)[0]


def _datetime(utc: IntArray) -> datetime:
    """The instant of an array of one, in microseconds since 1970."""
    return pd.Timestamp(utc.astype("datetime64[us]")[0]).to_pydatetime().replace(tzinfo=UTC)


def _parsed(timestamps: DatetimeArray | pd.DatetimeIndex) -> tuple[IntArray, BoolArray, bool]:
    """Microseconds since 1970 (0 for NaT), which are NaT, and whether they are UTC because they had a zone."""
    moments = _microseconds(timestamps)
    missing = np.isnat(moments)
    aware = isinstance(timestamps, pd.DatetimeIndex) and timestamps.tz is not None
    return np.where(missing, np.datetime64(0, "us"), moments).astype(np.int64), missing, aware


def _microseconds(timestamps: DatetimeArray | pd.DatetimeIndex) -> DatetimeArray:
    """Shape (n,), datetime64[us]: UTC where the timestamps have a zone."""
    if isinstance(timestamps, pd.DatetimeIndex):
        utc = timestamps if timestamps.tz is None else timestamps.tz_convert("UTC").tz_localize(None)
        return utc.to_numpy().astype("datetime64[us]")
    return np.asarray(timestamps).astype("datetime64[us]")
