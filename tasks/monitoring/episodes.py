"""How an alert opens, continues and closes, whatever is watched: rows of the table `alert`.

An alert that tonight opened or closed is found again when the night runs a second time. So it opens only once, and
opens again if the second run no longer closes it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from tasks.night.ledger import Row


@dataclass(frozen=True)
class AlertFacts:
    """What an open alert says as of tonight.

    Attributes:
        onset: When the change began.
        effect: How large it is, in the unit of its signal.
        run_id: The run that found it.
        reason: The diagnosis; None if there is none.
        message: One sentence for people.
    """

    onset: datetime
    effect: float
    run_id: str | None
    reason: str | None
    message: str


def find_alert(alerts: Iterable[Row], segment: str, signal: str, evaluated_on: datetime) -> Row | None:
    """The alert of a segment and signal that is open, or was closed on this very evaluation date."""
    candidates = (alert for alert in alerts if (alert["segment"], alert["signal"]) == (segment, signal))
    return next((alert for alert in candidates if alert["closed_at"] in (None, evaluated_on)), None)


def is_open(found: Row | None) -> bool:
    """Whether there is an alert, and it is not closed."""
    return found is not None and found["closed_at"] is None


def open_alert(found: Row | None, key: dict[str, Any], facts: AlertFacts) -> dict[str, Any]:
    """The alert as it continues, or opens tonight.

    Args:
        found: From `find_alert`.
        key: The key of a new alert: job, segment, signal and opened_at.
        facts: What it says as of tonight.
    """
    if found is not None and is_open(found):
        return {**found, **asdict(facts)}
    fresh = {**key, "acknowledged_by": None, "acknowledged_at": None, "accepted_at": None, "message_id": None}
    opened = {"state": "open", "closed_at": None, "last_sent_at": None, "delivery_errors": None}
    return {**(found or fresh), **opened, **asdict(facts)}


def close_alert(found: Row, evaluated_on: datetime, message: str) -> dict[str, Any]:
    """The open alert as it closes tonight.

    The closing message is still to be sent, unless no message was ever due when the alert was open.
    """
    never_due = found["last_sent_at"] is None and not found["delivery_errors"]
    sending = {"last_sent_at": evaluated_on if never_due else None, "delivery_errors": None}
    return {**found, "state": "closed", "closed_at": evaluated_on, **sending, "message": message}
