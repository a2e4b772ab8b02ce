"""Public holidays of countries and regions, as numbers that a network can read; the package `holidays` lists them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from difflib import get_close_matches

import numpy as np

from models.arrays import DatetimeArray, Float32Array, IntArray
from models.calendar.frequency import DAY
from models.calendar.grid import TimeGrid

# A holiday is one day in thirty: with this value it counts as much as a covariate of standard deviation 1.
PRESENT = 5.0


def check_place(place: str) -> str:
    """Check that a place is a country, or a country and one of its regions, as the package `holidays` writes them.

    Returns:
        The place.

    Raises:
        ValueError: where the country or the region is unknown; names similar ones.

    >>> check_place("ES-MD")
    'ES-MD'
    """
    # Importing it takes a third of a second: only a job with holidays waits for it.
    import holidays
    from holidays.registry import COUNTRIES

    country, dash, region = place.partition("-")
    try:
        known = holidays.country_holidays(country)
    except (NotImplementedError, TypeError):
        codes = {each: codes[1] for name, codes in COUNTRIES.items() for each in (name, *codes)}
        raise ValueError(
            f"no holidays are known for the country {country!r}; write its two letters, such as "
            f"{_similar(country, codes) or 'ES or US'}"
        ) from None
    regions = {each: each for each in known.subdivisions} | known.subdivisions_aliases
    if dash and region not in regions:
        similar, every = _similar(region, regions), ", ".join(known.subdivisions)
        remedy = f"similar ones are {similar}" if similar else f"its regions are {every}" if every else "it has none"
        raise ValueError(f"no holidays are known for the region {region!r} of {country}; {remedy}")
    return place


def _similar(name: str, known: dict[str, str]) -> str:
    """The codes whose names are similar to a name; "" where there are none."""
    folded = {each.casefold(): code for each, code in known.items()}
    return ", ".join(dict.fromkeys(folded[each] for each in get_close_matches(name.casefold(), list(folded), n=3)))


def holiday_features(
    grid: TimeGrid, first_index: int, last_index: int, places: Sequence[str]
) -> tuple[Float32Array, tuple[str, ...]]:
    """Holiday features of the grid positions from `first_index` to `last_index`, both included.

    For steps of a day or less, and for business days: whether the step's day is a holiday, and whether the days (for
    business days: the steps) before and after it are. For longer steps: how many holidays fall into the step. Holidays
    on a weekend do not count for business days.

    Args:
        grid: The grid; days are those of its zone.
        first_index: The first position.
        last_index: The last position.
        places: At least one, as `check_place` takes them.

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


def holiday_names(first: np.datetime64, last: np.datetime64, places: Sequence[str]) -> dict[date, str]:
    """The public holidays of some places from a first to a last day, with their English names where they have one.

    >>> holiday_names(np.datetime64("2024-01-01"), np.datetime64("2024-01-05"), ["ES"])
    {datetime.date(2024, 1, 1): "New Year's Day"}
    """
    import holidays

    begin, end = first.astype("M8[D]").item(), last.astype("M8[D]").item()
    found: dict[date, str] = {}
    for place in places:
        country, _, region = place.partition("-")
        years = range(begin.year, end.year + 1)
        named = holidays.country_holidays(country, subdiv=region or None, years=years, language="en_US")
        found |= {day: name for day, name in sorted(named.items()) if begin <= day <= end and day not in found}
    return found


def _days_of(grid: TimeGrid, index: IntArray) -> tuple[DatetimeArray, DatetimeArray]:
    """The first day of each step, and the first one after it; shape (n,) each."""
    around = grid.to_local(np.arange(index[0] - 1, index[-1] + 2)).to_numpy().astype("M8[D]")
    if grid.rule.at_end:
        return around[:-2] + 1, around[1:-1] + 1
    return around[1:-1], around[2:]


def _holidays(place: str, begin: np.datetime64, end: np.datetime64) -> DatetimeArray:
    """The public holidays of a place, sorted, in all years from that of `begin` to that of `end`."""
    import holidays

    country, _, region = place.partition("-")
    years = range(begin.astype("M8[Y]").item().year, end.astype("M8[Y]").item().year + 1)
    found = holidays.country_holidays(country, subdiv=region or None, years=years)
    return np.array(sorted(found), dtype="M8[D]")
