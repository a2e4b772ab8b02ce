"""How an alert opens, goes on and closes, whatever is watched: rows of the table `alert`.

Tonight's own alert is found again when the night is run twice, so it opens once; one that the first run closed is
opened again where the second says otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

Row = Mapping[str, Any]


def find(alerts: Iterable[Row], segment: str, signal: str, night: datetime) -> Row | None:
    """The alert of a segment and signal that is open, or was closed tonight."""
    mine = (alert for alert in alerts if (alert["segment"], alert["signal"]) == (segment, signal))
    return next((alert for alert in mine if alert["closed_at"] in (None, night)), None)


def is_open(found: Row | None) -> bool:
    return found is not None and found["closed_at"] is None


def opened(found: Row | None, job: str, segment: str, signal: str, night: datetime, **told: Any) -> dict[str, Any]:
    """The alert as it goes on, or opens tonight.

    Args:
        found: From `find`.
        job: The job's name.
        segment: What is watched of it.
        signal: By what.
        night: Tonight's cutoff.
        **told: Onset, effect, run_id, reason and message as they are tonight.
    """
    if found is not None and is_open(found):
        return {**found, **told}
    key = {"job": job, "segment": segment, "signal": signal, "opened_at": night}
    fresh = {**key, "acknowledged_by": None, "acknowledged_at": None, "accepted_at": None}
    return {
        **(found or fresh),
        "state": "open",
        "closed_at": None,
        "last_sent_at": None,
        "delivery_errors": None,
        **told,
    }


def closed(found: Row, night: datetime, message: str) -> dict[str, Any]:
    """The open alert as it closes tonight: untold yet, but where nobody was to hear of it, and nobody is."""
    unheard = found["last_sent_at"] is None and not found["delivery_errors"]
    told = {"last_sent_at": night if unheard else None, "delivery_errors": None}
    return {**found, "state": "closed", "closed_at": night, **told, "message": message}
