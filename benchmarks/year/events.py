"""Which alerts of the simulated company's year an event explains, and how soon each event was found.

An event explains an alert that opened while the event could show in its signal and segment: from the first day that
the event concerns to `AFTER` days past the last. Forecasts from before the event are evaluated until then, and the rule
may need that time. All other alerts are false.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.year.company import HORIZON, REGIONS, Company
from models.arrays import FloatArray
from models.evaluation.volume_classes import CLASSES

ZONE = "Europe/Madrid"
RULE_MAY_TAKE = 14
AFTER = HORIZON + RULE_MAY_TAKE
WORTH_A_MESSAGE = float(np.log(1.05))
WEEK = 7
VOLUMES = tuple(f"volume={name}" for name in CLASSES)


@dataclass(frozen=True)
class Event:
    """Something that may raise an alert.

    Attributes:
        name: Its name in the plan.
        first: The first day on which it may.
        last: The last one.
        stale: Whether it makes the source stale; otherwise it makes forecasts worse.
        segments: The segments that it may show in.
    """

    name: str
    first: pd.Timestamp
    last: pd.Timestamp
    stale: bool
    segments: frozenset[str]

    def explains(self, alert: Mapping[str, Any]) -> bool:
        """Whether it may be the cause of an alert, a row of that table."""
        return self.may_show(day_of(alert["opened_at"]), alert["signal"], alert["segment"])

    def may_show(self, day: pd.Timestamp, signal: str, segment: str) -> bool:
        """Whether it may be the cause of an alert of a signal and segment that opens on a day."""
        return self.first <= day <= self.last and self.stale == (signal == "input") and segment in self.segments


def events_of(company: Company) -> list[Event]:
    """Everything that may raise an alert in a company's year."""
    plan, found = company.plan, list[Event]()
    if plan.late:
        found.append(_stale("late", plan.late, plan.late))
    if plan.dead:
        found.append(_stale("dead", *plan.dead))
    if plan.shift:
        found.append(_worse("shift", plan.shift[0], plan.shift[0], REGIONS[1]))
    if plan.drift:
        # Promotions are not carried out to the end of the year, so the naive's task stays easier to the end.
        found.append(_worse("drift", plan.drift[0], f"{company.cutoffs[-1]:%Y-%m-%d}", *REGIONS))
    if plan.unit:
        found.append(_worse("unit", plan.unit, plan.unit, str(company.names["region"].iloc[company.in_thousandths])))
    if plan.revised:
        found.append(_worse("revised", plan.revised[0], plan.revised[2], REGIONS[0]))
    return found


def _stale(name: str, first: str, last: str) -> Event:
    return Event(name, pd.Timestamp(first), pd.Timestamp(last), True, frozenset({"all"}))


def _worse(name: str, first: str, last: str, *regions: str) -> Event:
    # An event concerns series of every volume.
    segments = frozenset({"all", *(f"region={region}" for region in regions), *VOLUMES})
    return Event(name, pd.Timestamp(first), pd.Timestamp(last) + pd.Timedelta(days=AFTER), False, segments)


def day_of(moment: Any) -> pd.Timestamp:
    """The company's local day of an instant, without time zone."""
    return pd.Timestamp(moment).tz_convert(ZONE).tz_localize(None).normalize()


def evaluations_without(company: Company, events: Sequence[Event]) -> int:
    """The number of evaluations on which no event explains an alert of the loss of all series."""
    return sum(not any(event.may_show(day, "loss", "all") for event in events) for day in company.cutoffs)


def found_on(name: str, alerts: Iterable[Mapping[str, Any]], events: Iterable[Event]) -> pd.Timestamp | None:
    """The evaluation of the first alert that an event explains; None if it explains none."""
    event = next((each for each in events if each.name == name), None)
    opened = [day_of(alert["opened_at"]) for alert in alerts if event and event.explains(alert)]
    return min(opened, default=None)


def evaluations_to(found: pd.Timestamp | None, since: pd.Timestamp | None) -> int | None:
    """Evaluations from the first on which something could be found to the one on which it was; 1 if the same."""
    if found is None or since is None:
        return None
    return max(int((found - since).days) + 1, 1)


def worth_a_message_since(effect: FloatArray, days: pd.DatetimeIndex, first: str) -> pd.Timestamp | None:
    """The first day on which the effect of an event is worth a message, as the median of the week around it.

    Args:
        effect: Shape (day,), logarithm of the relative loss over that without the event; NaN where unknown.
        days: The days.
        first: The first day of the event.
    """
    middle = pd.Series(effect, index=days).rolling(WEEK, center=True, min_periods=WEEK // 2 + 1).median()
    worse = middle[(middle >= WORTH_A_MESSAGE) & (middle.index >= pd.Timestamp(first))]
    return pd.Timestamp(worse.index[0]) if len(worse) else None
