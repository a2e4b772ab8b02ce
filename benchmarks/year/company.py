"""A simulated company: what its stores sell each day, and the events of its year.

    sales = level x weekday x season x growth x promotion x holiday x footfall of the store x demand of the item x noise

in euro, for series that sell every day. A `Plan` says what happens and when. Nothing random depends on the plan, so
the same company with another plan shows the effect of one event alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import holidays
import numpy as np
import pandas as pd

from benchmarks.year.plan import Plan
from models.arrays import BoolArray, FloatArray

REGIONS = ("north", "centre", "south", "islands")
HORIZON = 14
REVISED = 1.15
"""Final values over those before the revision."""
UNIT = 1000.0


@dataclass(frozen=True)
class Company:
    """Stores that sell the same items.

    Attributes:
        stores: Number of stores, spread over the regions.
        items: Number of items of each store.
        first_day: First day of the history.
        first_night: Cutoff of the first night, the last day of the history.
        nights: Number of nights, one after the other.
        plan: The events.
        promotions_begin: Promotions of an item that begin on a day, on average; each lasts a week.
        at_once: Number of series that are born on one day, and that die on one.
        seed: The same seed gives the same company.
    """

    stores: int
    items: int
    first_day: str
    first_night: str
    nights: int
    plan: Plan
    promotions_begin: float = 1 / 50
    at_once: int = 5
    seed: int = 0

    @cached_property
    def days(self) -> pd.DatetimeIndex:
        """From the first day of the history to the last that a night forecasts, without time zone."""
        last = pd.Timestamp(self.first_night) + pd.Timedelta(days=self.nights - 1 + HORIZON)
        return pd.date_range(self.first_day, last, freq="D")

    @cached_property
    def names(self) -> pd.DataFrame:
        """Store, item and region of each series."""
        store, item = (each.ravel() for each in np.indices((self.stores, self.items)))
        return pd.DataFrame(
            {
                "store": [f"store {number:02d}" for number in store],
                "item": [f"item {number:02d}" for number in item],
                "region": np.array(REGIONS)[store % len(REGIONS)],
            }
        )

    @cached_property
    def planned(self) -> FloatArray:
        """1 where a promotion is planned, else 0; shape (series, day).

        A promotion lasts a week and concerns an item in most stores.
        """
        random, days = np.random.default_rng([self.seed, 0]), len(self.days)
        starts = random.random((self.items, days)) < self.promotions_begin
        reach = np.cumsum(starts, axis=1)
        running = reach > np.pad(reach, ((0, 0), (7, 0)))[:, :days]
        takes_part = random.random((self.stores, self.items, days // 28 + 1)) < 0.8
        block = np.arange(days) // 28
        return np.asarray((running[None] & takes_part[:, :, block]).reshape(-1, days), np.float64)

    @cached_property
    def values(self) -> FloatArray:
        """Sales, shape (series, day); NaN where there is no row."""
        return self._sales(np.random.default_rng([self.seed, 1]))

    @property
    def series_ids(self) -> list[str]:
        """Ids as the product makes them, in the order of `names`."""
        return [f"{store}/{item}" for store, item in zip(self.names["store"], self.names["item"], strict=True)]

    @property
    def cutoffs(self) -> pd.DatetimeIndex:
        """The days of the nights, without time zone."""
        return pd.date_range(self.first_night, periods=self.nights, freq="D")

    def day(self, name: str | pd.Timestamp) -> int:
        """The column of a day."""
        return int((pd.Timestamp(name) - self.days[0]).days)

    def known_on(self, day: int) -> int:
        """The column of the first night that sees a day's rows."""
        plan = self.plan
        if plan.late and day == self.day(plan.late):
            return day + 1
        if plan.dead and self.day(plan.dead[0]) <= day <= self.day(plan.dead[1]):
            return self.day(plan.dead[1]) + 1
        return day

    def rows_of(self, night: int) -> pd.DataFrame:
        """The rows that are loaded before the night of a column, at 01:00 of the morning after its day."""
        new = [self._rows(day, self.values[:, day]) for day in range(max(night - 5, 0), night + 1)
               if self.known_on(day) == night]  # fmt: skip
        if self.plan.doubled and night == self.day(self.plan.doubled):
            # The mean of the two values is what was sold.
            other = np.where(np.arange(len(self.names)) % 60 == 0, 0.02, 0.0) * self.values[:, night]
            new = [self._rows(night, self.values[:, night] + sign * other) for sign in (-1, 1)]
        if self.plan.revised and night == self.day(self.plan.revised[2]):
            new += [self._rows(day, self.values[:, day], self._revised) for day in self._revised_days]
        rows = pd.concat(new, ignore_index=True) if new else self._rows(0, np.full(len(self.names), np.nan))
        return rows.assign(loaded_at=self.days[night] + pd.Timedelta(hours=25))

    def history(self) -> pd.DataFrame:
        """The rows up to the first night, each recorded in the morning after its day."""
        past = self.values[:, : self.day(self.first_night) + 1]
        series, day = np.nonzero(~np.isnan(past))
        found = self.names.iloc[series].reset_index(drop=True)
        recorded = self.days[day] + pd.Timedelta(hours=25)
        return found.assign(day=self.days[day], sales=past[series, day].round(2), loaded_at=recorded)

    def promotions(self) -> pd.DataFrame:
        """The planned promotions, one row for each series and day with a promotion."""
        series, day = np.nonzero(self.planned)
        found = self.names.iloc[series][["store", "item"]].reset_index(drop=True)
        return found.assign(day=self.days[day], promotion=1.0)

    @property
    def shifted(self) -> BoolArray:
        """The series that the shift concerns, shape (series,)."""
        return np.asarray(self.names["region"] == REGIONS[1])

    @property
    def in_thousandths(self) -> int:
        """The series whose unit changes; it is neither born nor dies."""
        return len(self.names) // 2 - (len(self.names) // 2) % 7 + 3

    @cached_property
    def units(self) -> FloatArray:
        """The number that stands for one euro, shape (series, day)."""
        found = np.ones((len(self.names), len(self.days)))
        if self.plan.unit:
            found[self.in_thousandths, self.day(self.plan.unit) :] = UNIT
        return found

    @property
    def _revised(self) -> BoolArray:
        return np.asarray(self.names["region"] == REGIONS[0])

    @property
    def _revised_days(self) -> range:
        assert self.plan.revised
        return range(self.day(self.plan.revised[0]), self.day(self.plan.revised[1]) + 1)

    def _rows(self, day: int, values: FloatArray, which: BoolArray | None = None) -> pd.DataFrame:
        kept = ~np.isnan(values) if which is None else ~np.isnan(values) & which
        if which is None and self.plan.revised and day in self._revised_days:
            values = np.where(self._revised, values / REVISED, values)
        return self.names[kept].assign(day=self.days[day], sales=values[kept].round(2)).reset_index(drop=True)

    def _sales(self, random: np.random.Generator) -> FloatArray:
        series, count = len(self.names), len(self.days)
        shape, t = (series, count), np.arange(count)
        store, item = (each.ravel() for each in np.indices((self.stores, self.items)))
        level = np.exp(random.normal(5.0, 0.8, self.items))[item] * random.uniform(0.5, 1.6, self.stores)[store]
        busy = np.array([-0.10, -0.12, -0.05, 0.0, 0.12, 0.30, -0.15])[self.days.day_of_week]
        leisure = random.normal(0.0, 0.2, (self.items, 7))[item][:, self.days.day_of_week]
        peak, size = random.uniform(0, 365.25, self.items)[item], random.uniform(0.05, 0.35, self.items)[item]
        season = size[:, None] * np.cos(2 * np.pi * (self.days.day_of_year.to_numpy() - peak[:, None]) / 365.25)
        growth = random.normal(0.03, 0.08, series)[:, None] * t / 365.25
        uplift = random.uniform(0.3, 0.9, self.items)[item][:, None]
        footfall = _persistent(random, self.stores, count, 0.85, 0.05)[store]
        demand = _persistent(random, self.items, count, 0.95, 0.03)[item]
        closed = _is_holiday(self.days) * random.uniform(0.8, 1.4, self.stores)[store][:, None]
        carried_out = self._carried_out(random)
        log_rate = busy + leisure + season + growth + uplift * self.planned * carried_out + footfall + demand - closed
        values = level[:, None] * np.exp(log_rate) * random.gamma(25.0, 1 / 25.0, shape)
        if self.plan.shift:
            day, share = self.plan.shift
            values *= np.where(self.shifted[:, None] & (t >= self.day(day)), share, 1.0)
        values *= self.units
        values[random.random(shape) < 1 / 400] = np.nan
        # Every seventh series from the first one is born, every seventh from the second one dies, some on each day.
        for number, day in enumerate(self.plan.born):
            values[self._some(number, 0), : self.day(day)] = np.nan
        for number, day in enumerate(self.plan.died):
            values[self._some(number, 1), self.day(day) :] = np.nan
        return values

    def _some(self, number: int, first: int) -> slice:
        begin = first + 7 * self.at_once * number
        return slice(begin, begin + 7 * self.at_once, 7)

    def _carried_out(self, random: np.random.Generator) -> FloatArray:
        """1 where a store carries out its promotions in a week, else 0; shape (series, day)."""
        count = len(self.days)
        weeks = random.random((len(self.names), count // 7 + 1))[:, np.arange(count) // 7]
        if self.plan.drift is None:
            return np.ones(weeks.shape)
        first, last = (self.day(each) for each in self.plan.drift[:2])
        share = self.plan.drift[2] * np.clip((np.arange(count) - first) / (last - first), 0, 1)
        return np.asarray(weeks >= share, np.float64)


def _persistent(random: np.random.Generator, rows: int, count: int, memory: float, deviation: float) -> FloatArray:
    """Autoregressive noise, shape (row, day)."""
    shocks = random.normal(0, deviation, (rows, count))
    found = np.zeros((rows, count))
    for day in range(count):
        found[:, day] = (memory * found[:, day - 1] if day else 0.0) + shocks[:, day]
    return found


def _is_holiday(days: pd.DatetimeIndex) -> FloatArray:
    known = holidays.country_holidays("ES", years=range(days[0].year, days[-1].year + 1))
    return np.array([day in known for day in days.date], np.float64)
