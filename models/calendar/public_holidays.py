"""Public holidays of countries and regions, as numbers a network can read; the package `holidays` knows the days."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

import numpy as np

from models.arrays import DatetimeArray, Float32Array, IntArray
from models.calendar.frequency import DAY
from models.calendar.grid import TimeGrid

# A holiday is rare: so large, its one day in thirty speaks as loudly as a covariate of standard deviation 1.
PRESENT = 5.0


def check_place(place: str) -> str:
    """A country, or a country and one of its regions, as the package `holidays` writes them; gives it back.

    Raises:
        ValueError: where the country or the region is unknown; names near ones.

    >>> check_place("ES-MD")
    'ES-MD'
    """
    # A third of a second: only a job that asks for holidays waits for it.
    import holidays
    from holidays.registry import COUNTRIES

    country, dash, region = place.partition("-")
    try:
        known = holidays.country_holidays(country)
    except (NotImplementedError, TypeError):
        codes = {each: codes[1] for name, codes in COUNTRIES.items() for each in (name, *codes)}
        raise ValueError(
            f"no holidays are known of the country {country!r}; write its two letters, such as "
            f"{_near(country, codes) or 'ES or US'}"
        ) from None
    regions = {each: each for each in known.subdivisions} | known.subdivisions_aliases
    if dash and region not in regions:
        near, there = _near(region, regions), ", ".join(known.subdivisions) or "none"
        remedy = f"near ones: {near}" if near else f"it has {there}"
        raise ValueError(f"no holidays are known of the region {region!r} of {country}; {remedy}")
    return place


def _near(name: str, known: dict[str, str]) -> str:
    """What may have been meant, by what it may be called; "" where nothing is like it."""
    folded = {each.casefold(): meant for each, meant in known.items()}
    return ", ".join(dict.fromkeys(folded[each] for each in get_close_matches(name.casefold(), list(folded), n=3)))


def holiday_features(
    grid: TimeGrid, first_index: int, last_index: int, places: Sequence[str]
) -> tuple[Float32Array, tuple[str, ...]]:
    """What the holidays of some places say about the grid positions from `first_index` to `last_index`, both included.

    For steps of a day or less, and business days: whether the step's day is a holiday, and whether the days (the
    steps, for business days) before and after it are. For longer steps: how many holidays fall into the step.
    Weeks and steps that are named by the end of their month end with the day that names them; others begin with it.
    Holidays on a weekend say nothing of business days.

    Args:
        grid: The grid; days are those of its zone.
        first_index: The first position.
        last_index: The last position.
        places: From `check_place`, one at least.

    Returns:
        Shape (last_index - first_index + 1, feature), float32, each holiday counted as `PRESENT`, and the features'
        names.

    >>> features, names = holiday_features(TimeGrid("D"), 19_723, 19_724, ["ES"])  # 1 and 2 January 2024
    >>> names, features.tolist()
    (('holiday_ES', 'after_holiday_ES', 'before_holiday_ES'), [[5.0, 0.0, 0.0], [0.0, 5.0, 0.0]])
    """
    unit, size, *_ = grid.rule
    if unit in ("elapsed", "clock") and size < DAY:
        day = grid.to_local(np.arange(first_index, last_index + 1)).to_numpy().astype("M8[D]").astype(np.int64)
        of_days, names = holiday_features(TimeGrid("D", grid.time_zone), int(day[0]), int(day[-1]), places)
        return of_days[day - day[0]], names
    begin, end = _days_of(grid, np.arange(first_index - 1, last_index + 2))
    columns = {}
    for place in places:
        days = _holidays(place, begin[0], end[-1])
        if unit == "business":
            days = days[np.is_busday(days)]
        count = np.searchsorted(days, end) - np.searchsorted(days, begin)
        columns[f"holiday_{place}"] = count[1:-1]
        if (unit, size) in (("business", 1), ("clock", DAY)):
            columns[f"after_holiday_{place}"] = count[:-2]
            columns[f"before_holiday_{place}"] = count[2:]
    return PRESENT * np.stack(list(columns.values()), axis=1).astype(np.float32), tuple(columns)


def _days_of(grid: TimeGrid, index: IntArray) -> tuple[DatetimeArray, DatetimeArray]:
    """The first day of each step, and the first one after it; shape (n,) each."""
    around = grid.to_local(np.arange(index[0] - 1, index[-1] + 2)).to_numpy().astype("M8[D]")
    if grid.rule.at_end or grid.frequency.strip().lstrip("0123456789").startswith("W"):
        return around[:-2] + 1, around[1:-1] + 1
    return around[1:-1], around[2:]


def _holidays(place: str, begin: np.datetime64, end: np.datetime64) -> DatetimeArray:
    """The public holidays of a place, sorted, of all years that the days from `begin` to `end` touch."""
    import holidays

    country, _, region = place.partition("-")
    years = range(begin.astype("M8[Y]").item().year, end.astype("M8[Y]").item().year + 1)
    found = holidays.country_holidays(country, subdiv=region or None, years=years)
    return np.array(sorted(found), dtype="M8[D]")
