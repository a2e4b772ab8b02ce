"""What the name of a column says of its meaning: the first guess, which the rows may overrule."""

from __future__ import annotations

import re


def _words(text: str) -> set[str]:
    return set(text.split())


_PARTS = re.compile(r"[^a-z0-9]+|(?<=[a-z])(?=[A-Z])")
_ID = {"series_id", "unique_id", "item_id", "id"}
_PART_OF_ID = _words(
    "id ids code sku series store shop item product article station sensor meter site country customer branch "
    "department dept nr number no key name region city warehouse plant line channel"
)
_TIME = {"timestamp", "time", "date", "datetime", "ds", "day", "month", "week", "period", "t"}
_KNOWN_WHEN = _words("created updated modified loaded inserted recorded imported ingested issued processed known")
_VALUE = {"value", "y", "target"}
_PART_OF_VALUE = _words(
    "value sales sold units quantity qty demand load count counts amount volume revenue orders visits passengers "
    "consumption power energy mw mwh kwh kw traffic calls trips turnover usage"
)
_PART_OF_COVARIATE = _words(
    "promo promotion promotions price prices temp temperature weather holiday holidays discount open closed rain wind "
    "humidity sun event events stock flag is has campaign school snow cost forecast lat lon latitude longitude"
)
_CALENDAR = _words(
    "year month day weekday dow dayofweek day_of_week week weekofyear week_of_year quarter hour minute day_of_month "
    "day_of_year dayofyear is_weekend weekend yearmonth"
)


def parts_of_name(name: str) -> set[str]:
    """The words of a name in lower case.

    >>> sorted(parts_of_name("StoreId")), sorted(parts_of_name("sold_at"))
    (['id', 'store'], ['at', 'sold'])
    """
    marked = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name).lower()
    return {part for part in _PARTS.split(marked) if part}


def rank_of_id(name: str) -> int:
    """0 for the name of an id, 1 for one that holds a word of ids, else 2."""
    return 0 if name.lower() in _ID else 1 if parts_of_name(name) & _PART_OF_ID else 2


def rank_of_time(name: str) -> int:
    """0 for the name of a time, 1 for one that holds such a word, 2 for others, 3 for the time of recording."""
    words = parts_of_name(name)
    if words & _KNOWN_WHEN:
        return 3
    return 0 if name.lower() in _TIME else 1 if words & _TIME else 2


def rank_of_value(name: str) -> int:
    """0 for the name of a value, 1 for one that holds such a word, 2 for others, 3 for what often goes with a value."""
    words = parts_of_name(name)
    if name.lower() in _VALUE:
        return 0
    if words & _PART_OF_COVARIATE:
        return 3
    return 1 if words & _PART_OF_VALUE else 2


def says_when_known(name: str) -> bool:
    """Whether the name of a column of times says when a row became known."""
    return rank_of_time(name) == 3


def is_of_calendar(name: str) -> bool:
    """Whether a column repeats what its row's time says already, such as the weekday."""
    return name.lower() in _CALENDAR
