"""The meaning of a frequency alias: what is counted, how long a step is, and where the count begins."""

from __future__ import annotations

import warnings
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd

from models.calendar.zones import ZoneOffsets

SECOND = 1_000_000
DAY = 86_400 * SECOND
DAYS_OF_YEAR = 365.2425
# 1970-01-01 was a Thursday; the Monday of its week lies three days before.
MONDAY = 3
WEEKDAYS = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")
MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
MONTHS_OF = {"MS": 1, "ME": 1, "QS": 3, "QE": 3, "YS": 12, "YE": 12}
MONTHS_OF |= {f"B{alias}": months for alias, months in MONTHS_OF.items()}
MOST_DAYS = 3_660
_MOST_SHOWN = 40
WeekLabel = Literal["last_day", "first_day"]
OLD_ALIASES = {"H": "h", "T": "min", "S": "s", "M": "MS or ME", "Q": "QS or QE", "A": "YS or YE", "Y": "YS or YE"}


class Rule(NamedTuple):
    """How positions are counted, from 1970-01-01.

    Attributes:
        unit: What is counted: elapsed time, time on the zone's clock, business days, or months.
        size: Length of a step: microseconds, business days or months.
        phase: Where position 0 lies, in the same unit.
        at_end: Whether a step is named by its last day instead of its first.
        on_weekday: Whether a step of months is named by their first or last day from Monday to Friday.
        anchor: Grids of the same alias differ by a multiple of this, in the same unit.
        base: Length of a step of the alias without its number: of 8h, an hour.
    """

    unit: Literal["elapsed", "clock", "business", "month"]
    size: int
    phase: int = 0
    at_end: bool = False
    on_weekday: bool = False
    anchor: int = 1
    base: int = 1


def rule_of(frequency: str, zone: ZoneOffsets, week_label: WeekLabel = "last_day") -> Rule:
    """How steps of a pandas offset alias are counted in a zone.

    Args:
        frequency: The alias.
        zone: The zone's offsets.
        week_label: The day of a week that names it: W-SUN is Monday to Sunday, or Sunday to Saturday.

    Raises:
        ValueError: where the alias is unknown, or no grid can be made of it.

    >>> from models.calendar.zones import zone_offsets
    >>> rule_of("QE", zone_offsets("UTC"))
    Rule(unit='month', size=3, phase=2, at_end=True, on_weekday=False, anchor=3, base=3)
    """
    offset = _offset(frequency)
    anchor = offset.rule_code.partition("-")[2]
    kind = offset.rule_code.partition("-")[0]
    if kind in MONTHS_OF:
        months = MONTHS_OF[kind]
        phase = MONTHS.index(anchor) % months if anchor else 0
        return Rule("month", offset.n * months, phase, kind.endswith("E"), kind.startswith("B"), months, months)
    if kind == "W":
        phase = (WEEKDAYS.index(anchor) - MONDAY) * DAY
        return Rule("clock", offset.n * 7 * DAY, phase, week_label == "last_day", anchor=7 * DAY, base=7 * DAY)
    if kind == "B":
        return Rule("business", offset.n)
    if kind == "D":
        return Rule("clock", offset.n * DAY, base=DAY)
    size = offset.nanos // 1_000
    shifts = zone.recent
    # A zone that crossed the date line skipped a day; the hours of its clock did not change.
    moves = np.abs(np.diff(shifts)) % DAY
    # A step shorter than a change of the clocks would have two positions at the instant of a skipped hour.
    if (moves % size).any() and size > moves.max() and DAY % size == 0:
        return Rule("clock", size, base=size // offset.n)
    return Rule("elapsed", size, int(-shifts[-1] % size), base=size // offset.n)


def _offset(frequency: str) -> pd.offsets.BaseOffset:
    """The pandas offset of an alias of which a grid can be made."""
    remedy = "use s, min, h, D, B, W-MON, MS, ME, BME, QS, QE, YS, YE or a multiple such as 15min"
    letters = frequency.strip().lstrip("0123456789")
    if letters in OLD_ALIASES:
        remedy = f"pandas now writes {OLD_ALIASES[letters]}"
    try:
        with warnings.catch_warnings():
            # Aliases that pandas has deprecated are refused too.
            warnings.simplefilter("error")
            offset = pd.tseries.frequencies.to_offset(frequency)
    except (ValueError, TypeError, OverflowError, Warning) as error:
        raise ValueError(f"frequency {frequency[:_MOST_SHOWN]!r} is not a pandas offset alias; {remedy}.") from error
    fine = isinstance(offset, pd.offsets.Tick) and offset.nanos < 1_000 * SECOND
    known = isinstance(offset, pd.offsets.Tick) or offset.rule_code.partition("-")[0] in {*MONTHS_OF, "W", "B", "D"}
    if known and _days(offset) > MOST_DAYS:
        raise ValueError(f"frequency {frequency!r} has steps of more than ten years; {remedy}.")
    if offset.n < 1 or fine or not known:
        raise ValueError(f"frequency {frequency!r} makes no time grid; {remedy}.")
    return offset


def _days(offset: pd.offsets.BaseOffset) -> float:
    """The longest that a step of an offset is, in days."""
    if isinstance(offset, pd.offsets.Tick):
        return offset.nanos / (1_000 * DAY)
    kind = offset.rule_code.partition("-")[0]
    return float(offset.n * ({"W": 7, "D": 1, "B": 7 / 5}.get(kind) or 30.5 * MONTHS_OF[kind]))
