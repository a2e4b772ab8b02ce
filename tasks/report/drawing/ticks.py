"""Where the labels of an axis stand, and what they say."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from itertools import dropwhile, islice, takewhile
from typing import NamedTuple

# Plots show local times without a zone.
EPOCH = datetime.fromisoformat("1970-01-01")
# Python has no year 10000, in which the next tick could lie.
_FIRST, _LAST = datetime.fromisoformat("0001-01-01"), datetime.fromisoformat("9999-10-31")
_YEARS, _MONTHS, _DAYS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000), (1, 2, 3, 4, 6), (1, 2, 3, 7, 14)
_MINUTES = (1, 5, 10, 15, 30, 60, 120, 180, 240, 360, 720)


class Ticks(NamedTuple):
    """The labels of an axis.

    Attributes:
        places: Where each stands, ascending, in the axis's units.
        labels: What each says.
        note: What all have in common, such as the month of days; "" for nothing.
    """

    places: list[float]
    labels: list[str]
    note: str = ""


def as_percent(share: float) -> str:
    """A share for an axis.

    >>> as_percent(0.25)
    '25%'
    """
    return f"{share:.0%}"


def short_number(value: float) -> str:
    """A number in few characters, such as 1.23M for 1234567."""
    sizes = ((1e12, "T", 1e12), (1e9, "G", 1e9), (1e6, "M", 1e6), (1e4, "k", 1e3), (0.0, "", 1.0))
    letter, unit = next((letter, unit) for least, letter, unit in sizes if abs(value) >= least)
    digits = 3 if letter else 4
    return f"{value / unit:.{digits}g}{letter}".replace("-", "\N{MINUS SIGN}")


def number_ticks(
    low: float, high: float, most: int = 5, *, whole: bool = False, label: Callable[[float], str] = short_number
) -> Ticks:
    """Round numbers between two others, at most so many steps apart.

    Args:
        low: The lower end of the axis.
        high: The upper end, above the lower one.
        most: The largest number of steps.
        whole: Whether only whole numbers have a place.
        label: What a tick says.

    >>> number_ticks(0, 11.3).places
    [0.0, 2.5, 5.0, 7.5, 10.0]
    """
    power = 10.0 ** math.floor(math.log10((high - low) / most))
    steps = (step * size for size in (power, 10 * power, 100 * power) for step in (1.0, 2.0, 2.5, 5.0))
    step = next(step for step in steps if (high - low) / step <= most and not (whole and step % 1))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    places = [place * step for place in range(first, last + 1)]
    return Ticks(places, [label(place) for place in places])


def date_ticks(low: float, high: float, most: int = 6) -> Ticks:
    """Round dates or times of day, at most so many; a label says only what the one before it leaves open.

    Args:
        low: The lower end of the axis, in days since `EPOCH`.
        high: The upper end.
        most: The largest number of ticks.

    >>> date_ticks(0, 330)
    Ticks(places=[0.0, 59.0, 120.0, 181.0, 243.0, 304.0], labels=['1970', 'Mar', 'May', 'Jul', 'Sep', 'Nov'], note='')
    >>> date_ticks(17, 19, 3)
    Ticks(places=[17.0, 18.0, 19.0], labels=['18', '19', '20'], note='1970-Jan')
    """
    ends = (_FIRST - EPOCH) / timedelta(days=1), (_LAST - EPOCH) / timedelta(days=1)
    first, last = (EPOCH + timedelta(days=min(max(each, ends[0]), ends[1])) for each in (low, high))
    shown = ((unit, _within(candidates, first, last, most)) for unit, candidates in _finest_first(first, last))
    unit, chosen = next((each for each in shown if len(each[1]) <= most), ("%Y", []))
    labels = [moment.strftime(_form(moment, unit)) for moment in chosen]
    places = [(moment - EPOCH) / timedelta(days=1) for moment in chosen]
    return Ticks(places, labels, chosen[-1].strftime(_note(unit)) if chosen and not _is_told(chosen, unit) else "")


def _within(candidates: Iterator[datetime], first: datetime, last: datetime, most: int) -> list[datetime]:
    """Those from the first to the last moment; no more than one too many."""
    later = dropwhile(lambda moment: moment < first, candidates)
    return [*islice(takewhile(lambda moment: moment <= last, later), most + 1)]


def _finest_first(first: datetime, last: datetime) -> Iterator[tuple[str, Iterator[datetime]]]:
    """Units of time, each with the moments at which ticks could stand."""
    day, month = first.replace(hour=0, minute=0, second=0, microsecond=0), first.month - 1
    if last - first < timedelta(days=8):
        for minutes in _MINUTES:
            begin = day + (first - day) // timedelta(minutes=minutes) * timedelta(minutes=minutes)
            yield "%H:%M", _steps(begin, timedelta(minutes=minutes))
    for days in _DAYS:
        yield "%d", _days_of_months(first.year, month, days)
    for months in _MONTHS:
        yield "%b", _months(first.year, month // months * months, months)
    for years in _YEARS:
        yield "%Y", _months(max(1, first.year // years * years), 0, 12 * years)


def _steps(begin: datetime, step: timedelta) -> Iterator[datetime]:
    moment = begin
    while True:
        yield moment
        moment += step


def _months(year: int, month: int, step: int) -> Iterator[datetime]:
    for number in range(12 * year + month, 12 * 10_000, step):
        yield EPOCH.replace(year=number // 12, month=number % 12 + 1)


def _days_of_months(year: int, month: int, step: int) -> Iterator[datetime]:
    """Each month's 1st, and so many days on; none close before the next month's 1st."""
    for begin in _months(year, month, 1):
        end = begin + timedelta(days=31)
        end -= timedelta(days=end.day - 1)
        moment = begin
        while moment == begin or end - moment > timedelta(days=step) / 2:
            yield moment
            moment += timedelta(days=step)


def _form(moment: datetime, unit: str) -> str:
    """How a moment is written: the first one of a larger unit by that one's name."""
    if unit == "%H:%M" and (moment.hour, moment.minute) == (0, 0):
        return "%b-%d"
    if unit == "%d" and moment.day == 1:
        return "%b"
    return "%Y" if unit == "%b" and moment.month == 1 else unit


def _note(unit: str) -> str:
    return {"%H:%M": "%Y-%b-%d", "%d": "%Y-%b", "%b": "%Y", "%Y": ""}[unit]


def _is_told(moments: list[datetime], unit: str) -> bool:
    return unit == "%b" and any(moment.month == 1 for moment in moments)
