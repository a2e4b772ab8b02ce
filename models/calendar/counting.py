"""Count times by a rule: from microseconds to grid positions and back.

Times are microseconds since 1970: UTC for a rule of "elapsed" time, local time otherwise.
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from models.arrays import IntArray
from models.calendar.frequency import DAY, MONDAY, Rule

# A grid with another phase is taken from the data only where nearly all of its timestamps have that phase.
CLEAR_SHARE = 0.9


def index_of(rule: Rule, time: IntArray) -> IntArray:
    """The newest positions that are not after some times, shape (n,).

    >>> index_of(Rule("business", 1), np.array([1, 2, 4]) * DAY)  # Friday to Monday, 2 to 5 January 1970
    array([4, 4, 5])
    """
    index = (_numbers(rule, time) - rule.phase) // rule.size
    if rule.unit == "month" and (rule.at_end or rule.on_weekday):
        return index - (time_of(rule, index) > time)
    return index


def time_of(rule: Rule, index: IntArray) -> IntArray:
    """The times of positions, shape (n,)."""
    number = index * rule.size + rule.phase
    if rule.unit == "business":
        return (number // 5 * 7 + number % 5 - MONDAY) * DAY
    if rule.unit != "month":
        return number
    month = (number + rule.at_end).astype("datetime64[M]")
    day = month.astype("datetime64[us]").astype(np.int64) - rule.at_end * DAY
    return _nearest_weekday(day, back=rule.at_end) if rule.on_weekday else day


def last_business_day(rule: Rule, index: int) -> int:
    """The last day of a step of business days, microseconds."""
    one_day = rule._replace(size=1, phase=0)
    return int(time_of(one_day, np.array([(index + 1) * rule.size + rule.phase - 1]))[0])


def phases(rule: Rule, time: IntArray) -> IntArray:
    """The phases that a rule must have for some times to be steps; shape (n,), -1 where no phase will do."""
    phase = _numbers(rule, time) % rule.size
    one_unit = rule._replace(size=rule.anchor, phase=rule.phase % rule.anchor)
    is_step = time_of(one_unit, index_of(one_unit, time)) == time
    return np.where(is_step, phase, -1)


def commonest_phase(rule: Rule, counted: Counter[int]) -> int:
    """The phase that nearly all times have; that of the rule where no other one is as clear.

    The grid moves by whole units of its alias only. Days at 23:59 may be named by their end, which no phase can say.

    Args:
        rule: The rule.
        counted: How many times have each phase.
    """
    total = counted.total()
    if 2 * counted[rule.phase % rule.size] >= total:
        return rule.phase
    [(phase, times)] = counted.most_common(1)
    clear = phase >= 0 and times >= CLEAR_SHARE * total
    return phase if clear and (phase - rule.phase) % rule.base == 0 else rule.phase


def _numbers(rule: Rule, time: IntArray) -> IntArray:
    """Times as numbers of the unit that a rule counts in: microseconds, months or business days since 1970."""
    if rule.unit == "month":
        return np.asarray(time.astype("datetime64[us]").astype("datetime64[M]").astype(np.int64))
    if rule.unit == "business":
        day = time // DAY + MONDAY
        return np.asarray(day // 7 * 5 + np.minimum(day % 7, 4))
    return time


def _nearest_weekday(day: IntArray, back: bool) -> IntArray:
    """The day itself; for a Saturday or Sunday the Friday before, or the Monday after; microseconds."""
    weekday = (day // DAY + MONDAY) % 7
    days = np.where(weekday > 4, 4 - weekday if back else 7 - weekday, 0)
    return np.asarray(day + days * DAY)
