"""The example source: made-up sales of five shops, for a first night without own data.

    rate = level x weekday x season x trend x promotion x holiday x visitors of the shop
    units ~ Poisson(rate x Gamma noise)

Beside ordinary series there is what real sources hold too: an item that sells on few days,
one that was taken off the shelves, one that is new, one that never changes, days that were
not reported, and rows of the coming weeks, in which only the promotions are known.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from models.arrays import BoolArray, DatetimeArray, FloatArray, StringArray
from sql.engine.url import resolve_url
from sql.imports.import_file import import_file

FIRST_DAY, LAST_DAY, DAYS_AHEAD = date(2022, 9, 1), date(2025, 2, 28), 28
STORES = {"Cadiz": "south", "Sevilla": "south", "Madrid": "centre", "Bilbao": "north", "Gijon": "north"}
# Item: units a day, weight of the weekend, size and peak (day of the year) of the season, uplift of a promotion.
ITEMS: dict[str, tuple[float, float, float, int, float]] = {
    "bread": (140.0, 0.15, 0.05, 350, 0.15),
    "milk": (95.0, 0.10, 0.05, 20, 0.30),
    "coffee": (34.0, 0.20, 0.15, 15, 0.60),
    "tea": (14.0, 0.05, 0.30, 15, 0.55),
    "ice cream": (30.0, 0.45, 0.95, 205, 0.45),
    "soup": (22.0, -0.10, 0.70, 15, 0.50),
    "beer": (75.0, 0.60, 0.35, 205, 0.65),
    "oranges": (60.0, 0.20, 0.45, 30, 0.50),
    "pasta": (41.0, 0.10, 0.05, 330, 0.70),
    "detergent": (11.0, 0.35, 0.05, 120, 0.90),
    "batteries": (0.45, 0.20, 0.10, 355, 0.60),
    "umbrella": (0.30, 0.10, 0.80, 330, 0.30),
}
# Public holidays of the whole country, month and day.
HOLIDAYS = ((1, 1), (1, 6), (5, 1), (8, 15), (10, 12), (11, 1), (12, 6), (12, 8), (12, 25))
DEAD, YOUNG, CONSTANT = ("Gijon", "ice cream"), ("Bilbao", "tea"), ("Cadiz", "detergent")
DEAD_SINCE, YOUNG_SINCE = np.datetime64("2024-09-30"), np.datetime64("2025-02-09")


def make_example_source(folder: Path, seed: int = 7) -> tuple[Path, int]:
    """Write the example rows to `<folder>/example.db`, table `observations`.

    Args:
        folder: Where the database goes; made where it is missing.
        seed: Same seed: same rows.

    Returns:
        The database's path and its number of rows.

    Raises:
        OSError: where the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "example.parquet"
    try:
        pq.write_table(example_sales(seed), file)
        found = import_file(file, resolve_url("sqlite:///example.db", folder), "observations", mode="replace")
    finally:
        if file.exists():
            os.unlink(file)
    return folder / "example.db", found.rows


def example_sales(seed: int = 7) -> pa.Table:
    """Daily sales of every shop and item, in rows.

    Args:
        seed: Same seed: same rows.

    Returns:
        Columns store, item, region (strings), sold_at (naive timestamp, midnight), units (null where
        not reported or not yet sold), promotion and holiday (0 or 1, known four weeks ahead), visitors
        (of the shop that day; null ahead).
    """
    random = np.random.default_rng(seed)
    first, last = np.datetime64(FIRST_DAY, "D"), np.datetime64(LAST_DAY, "D")
    days = first + np.arange((last - first).astype(int) + 1 + DAYS_AHEAD)
    past = days <= last
    shops, items = len(STORES), len(ITEMS)

    promotion = _promotions(random, shops, items, len(days))
    holiday = _is_holiday(days)
    footfall = _footfall(random, shops, days, holiday)
    rate = _rate(random, days, promotion, footfall)
    noise = random.gamma(25.0, 1 / 25.0, size=rate.shape)
    units = random.poisson(rate * noise).astype(np.float64)
    visitors = np.round(footfall * random.uniform(380, 900, size=(shops, 1)))

    store, item = _stores_and_items()
    units = units.reshape(shops * items, -1)
    units[(store == CONSTANT[0]) & (item == CONSTANT[1])] = 12.0
    # One row in 400 was never loaded, one in 500 came without its number.
    present = random.random(units.shape) > 1 / 400
    units[random.random(units.shape) < 1 / 500] = np.nan
    present[(store == DEAD[0]) & (item == DEAD[1])] &= days < DEAD_SINCE
    present[(store == YOUNG[0]) & (item == YOUNG[1])] &= days >= YOUNG_SINCE
    units[:, ~past] = np.nan
    return _rows(_Days(days, promotion, holiday, np.where(past, visitors, np.nan)), units, present)


@dataclass(frozen=True)
class _Days:
    """What is known of each day.

    Attributes:
        days: Shape (day,).
        promotion: 0 or 1, shape (shop, item, day).
        holiday: 0 or 1, shape (day,).
        visitors: Shape (shop, day); NaN in the future.
    """

    days: DatetimeArray
    promotion: FloatArray
    holiday: FloatArray
    visitors: FloatArray


def _stores_and_items() -> tuple[StringArray, StringArray]:
    """The store and the item of each series, both of shape (series,)."""
    return np.repeat(list(STORES), len(ITEMS)), np.tile(list(ITEMS), len(STORES))


def _promotions(random: np.random.Generator, shops: int, items: int, days: int) -> FloatArray:
    """0 or 1, shape (shop, item, day): a week now and then, decided for the country, run by most shops."""
    starts = random.random((items, days)) < 1 / 55
    reach = np.cumsum(starts, axis=1)
    # A day is in a promotion where one began within the seven days up to it.
    running = np.greater(reach, np.pad(reach, ((0, 0), (7, 0)))[:, :days])
    block = np.arange(days) // 28
    takes_part = random.random((shops, items, block[-1] + 1))[:, :, block] < 0.8
    return np.asarray(running[None] & takes_part, dtype=np.float64)


def _is_holiday(days: DatetimeArray) -> FloatArray:
    month = days.astype("datetime64[M]").astype(int) % 12 + 1
    day = (days - days.astype("datetime64[M]")).astype(int) + 1
    return np.isin(month * 100 + day, [m * 100 + d for m, d in HOLIDAYS]).astype(np.float64)


def _footfall(random: np.random.Generator, shops: int, days: DatetimeArray, holiday: FloatArray) -> FloatArray:
    """How busy each shop is beside its average, shape (shop, day)."""
    shock = random.normal(0, 0.05, size=(shops, len(days)))
    lag = np.subtract.outer(np.arange(len(days)), np.arange(len(days)))
    # Each day keeps 0.85 of the day before: weather and neighbourhoods do not change overnight.
    memory = np.where(lag >= 0, 0.85 ** np.maximum(lag, 0), 0.0)
    eve = np.append(holiday[1:], 0.0)
    return np.asarray(np.exp(shock @ memory.T - 0.9 * holiday + 0.25 * eve))


def _rate(random: np.random.Generator, days: DatetimeArray, promotion: FloatArray, footfall: FloatArray) -> FloatArray:
    """Expected units, shape (shop, item, day)."""
    level, weekend, size, peak, uplift = np.array(list(ITEMS.values())).T[:, None, :, None]
    weekday = (days.astype(int) + 3) % 7  # 1970-01-01 was a Thursday
    of_year = (days - days.astype("datetime64[Y]")).astype(int)
    busy = np.array([-0.10, -0.12, -0.05, 0.0, 0.12, 0.25, -0.10])[weekday]
    leisure = np.array([-0.4, -0.4, -0.3, 0.0, 0.5, 1.0, 0.6])[weekday]
    shop_size = random.uniform(0.5, 1.6, size=(len(STORES), 1, 1))
    taste = np.exp(random.normal(0, 0.2, size=(len(STORES), len(ITEMS), 1)))
    growth = random.normal(0.05, 0.10, size=(len(STORES), len(ITEMS), 1)) * np.arange(len(days)) / 365.25
    season = size * np.cos(2 * np.pi * (of_year - peak) / 365.25)
    return np.asarray(
        level
        * shop_size
        * taste
        * np.exp(busy + weekend * leisure + season + growth + uplift * promotion)
        * footfall[:, None, :]
    )


def _rows(known: _Days, units: FloatArray, present: BoolArray) -> pa.Table:
    """The rows that are present; `units` and `present` have shape (series, day)."""
    store, item = _stores_and_items()
    series, day = np.nonzero(present)
    shop = series // len(ITEMS)
    return pa.table(
        {
            "store": store[series],
            "item": item[series],
            "region": np.array(list(STORES.values()))[shop],
            "sold_at": known.days[day].astype("datetime64[us]"),
            "units": pa.array(units[series, day], from_pandas=True),
            "promotion": known.promotion.reshape(len(store), -1)[series, day].astype(np.int64),
            "holiday": known.holiday[day].astype(np.int64),
            "visitors": pa.array(known.visitors[shop, day], from_pandas=True),
        }
    )
