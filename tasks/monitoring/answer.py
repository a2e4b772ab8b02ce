"""How people answer open alerts: they acknowledge one, or accept the new level as normal."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, get_args

from models.monitoring.signals import Signal
from sql.errors import SourceError
from tasks.night.ledger import Ledger, Row


def acknowledge_alert(ledger: Ledger, segment: str, person: str, at: datetime) -> list[dict[str, Any]]:
    """Acknowledge a segment's open alerts: they stay open, and no more messages are sent about them.

    Alerts that were acknowledged before are left as they are, unless there are no others.

    Raises:
        SourceError: the segment has no open alert.
    """
    alerts = _open_alerts(ledger, segment)
    chosen = [each for each in alerts if each["state"] == "open"] or alerts
    acknowledged = [
        {**each, "state": "acknowledged", "acknowledged_by": person, "acknowledged_at": at} for each in chosen
    ]
    ledger.upsert_alerts(acknowledged)
    return acknowledged


def accept_alert(ledger: Ledger, segment: str, person: str, at: datetime) -> list[dict[str, Any]]:
    """Close a segment's open alerts, and treat the new level as normal from the newest evaluation on.

    The alert of the whole job explains those of its segments, so these are accepted with it, signal by signal.

    Raises:
        SourceError: the segment has no open alert, or only one of its input or of anomalies.
    """
    found = _open_alerts(ledger, segment)
    alerts = [each for each in found if each["signal"] in get_args(Signal)]
    if not alerts and any(each["signal"] == "anomaly" for each in found):
        raise SourceError(
            f"The open alert of segment {segment!r} of {ledger.job} is about anomalies. It closes when a night finds "
            "no more of them than chance explains. Use `alerts acknowledge`."
        )
    if not alerts:
        raise SourceError(
            f"The open alert of segment {segment!r} of {ledger.job} is about its input. It closes when the source has "
            "new values. Use `alerts acknowledge`."
        )
    if segment == "all":
        signals = {each["signal"] for each in alerts}
        alerts = [each for each in ledger.open_alerts() if each["signal"] in signals]
    newest = max(row["evaluated_on"] for row in ledger.losses())
    answer = {"state": "closed", "closed_at": newest, "accepted_at": at, "acknowledged_by": person}
    answer |= {"acknowledged_at": at, "delivery_errors": None}
    # With a time of sending, no message says that the alert is closed: the person who accepted it knows.
    accepted = [{**each, **answer, "last_sent_at": each["last_sent_at"] or newest} for each in alerts]
    ledger.upsert_alerts(accepted)
    return accepted


def _open_alerts(ledger: Ledger, segment: str) -> Sequence[Row]:
    alerts = ledger.open_alerts()
    chosen = [each for each in alerts if each["segment"] == segment]
    if not chosen:
        known = sorted({str(alert["segment"]) for alert in alerts}) or "none"
        raise SourceError(
            f"{ledger.job} has no open alert of segment {segment!r}; open ones: {known}. Choose one with --segment."
        )
    return chosen
