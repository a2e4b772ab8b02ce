"""Which alerts of the simulated company's year something planned explains, and how soon each was found.

An alert is explained where it opened while an event could show in its signal and its segment: from the first day that
the event concerns to `AFTER` days past the last. For so long forecasts from before it are still judged, and the rule
may need so long to be sure. All other alerts are false.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from benchmarks.year.company import HORIZON, REGIONS, Company
from models.evaluation.volume_classes import CLASSES

FloatArray = npt.NDArray[np.float64]

ZONE = "Europe/Madrid"
RULE_MAY_TAKE = 14
AFTER = HORIZON + RULE_MAY_TAKE
WORTH_A_MESSAGE = float(np.log(1.05))
WEEK = 7
VOLUMES = tuple(f"volume={name}" for name in CLASSES)


@dataclass(frozen=True)
class Event:
    """What may set off an alert.

    Attributes:
        what: Its name in the plan.
        first: The first day on which it could.
        last: The last one.
        stale: Whether it makes the source stale; else it makes forecasts worse.
        segments: Those that it can show in.
    """

    what: str
    first: pd.Timestamp
    last: pd.Timestamp
    stale: bool
    segments: frozenset[str]

    def explains(self, alert: Mapping[str, Any]) -> bool:
        """Whether it may be the reason of an alert, a row of that table."""
        return self.may_show(day_of(alert["opened_at"]), alert["signal"], alert["segment"])

    def may_show(self, day: pd.Timestamp, signal: str, segment: str) -> bool:
        """Whether an alert of a signal and segment that opens on a day may be of it."""
        return self.first <= day <= self.last and self.stale == (signal == "input") and segment in self.segments


def events_of(company: Company) -> list[Event]:
    """All that may set off an alert in a company's year."""
    plan, found = company.plan, list[Event]()

    def add(what: str, first: str, last: str, stale: bool, *regions: str) -> None:
        # Series of any size are among those that an event concerns.
        volumes = () if stale else VOLUMES
        segments = frozenset({"all", *(f"region={region}" for region in regions), *volumes})
        begin, end = pd.Timestamp(first), pd.Timestamp(last) + pd.Timedelta(days=0 if stale else AFTER)
        found.append(Event(what, begin, end, stale, segments))

    if plan.late:
        add("late", plan.late, plan.late, True)
    if plan.dead:
        add("dead", *plan.dead, True)
    if plan.shift:
        add("shift", plan.shift[0], plan.shift[0], False, REGIONS[1])
    if plan.drift:
        # What is carried out no more is not taken up again: the naive has an easier time of it to the end.
        add("drift", plan.drift[0], f"{company.cutoffs[-1]:%Y-%m-%d}", False, *REGIONS)
    if plan.unit:
        add("unit", plan.unit, plan.unit, False, str(company.names["region"].iloc[company.in_thousandths]))
    if plan.revised:
        add("revised", plan.revised[0], plan.revised[2], False, REGIONS[0])
    return found


def day_of(moment: Any) -> pd.Timestamp:
    """The company's day of an instant, naive."""
    return pd.Timestamp(moment).tz_convert(ZONE).tz_localize(None).normalize()


def evaluations_without(company: Company, events: Sequence[Event]) -> int:
    """On how many evaluations no event explains an alert of the loss of all series."""
    return sum(not any(event.may_show(day, "loss", "all") for event in events) for day in company.cutoffs)


def found_by(event: str, alerts: Iterable[Mapping[str, Any]], events: Iterable[Event]) -> pd.Timestamp | None:
    """The evaluation of the first alert that an event explains; None where none does."""
    mine = next((each for each in events if each.what == event), None)
    opened = [day_of(alert["opened_at"]) for alert in alerts if mine and mine.explains(alert)]
    return min(opened, default=None)


def evaluations_to(found: pd.Timestamp | None, since: pd.Timestamp | None) -> int | None:
    """Evaluations from the first on which something could be seen to the one on which it was; 1 where at once."""
    if found is None or since is None:
        return None
    return max(int((found - since).days) + 1, 1)


def reached(effect: FloatArray, days: pd.DatetimeIndex, first: str) -> pd.Timestamp | None:
    """The day from which on an event's effect is worth a message: the middle one of the week around it is.

    Args:
        effect: Shape (day,), logarithm of the relative loss over that without the event; NaN where not known.
        days: The days.
        first: Of the event.
    """
    middle = pd.Series(effect, index=days).rolling(WEEK, center=True, min_periods=WEEK // 2 + 1).median()
    worse = middle[(middle >= WORTH_A_MESSAGE) & (middle.index >= pd.Timestamp(first))]
    return pd.Timestamp(worse.index[0]) if len(worse) else None
