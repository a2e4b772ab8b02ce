"""Ids of messages: the same news has the same id, however often it is sent, so that a receiver can drop the second one.

A night that is killed after sending and before it has noted that sends its messages again. So does one whose receiver
took a message and answered too late.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid5

_NIGHTCAST = UUID("5b1d7c1e-3f0a-5c58-9d57-6f2a8f0c9a11")


def content_id(*content: str | int | datetime | None) -> str:
    """The id of what is the same in every message of one piece of news.

    >>> content_id("sales", 1) == content_id("sales", 1), content_id("sales", 1) == content_id("sales", 2)
    (True, False)
    """
    words = [each.astimezone(UTC).isoformat() if isinstance(each, datetime) else each for each in content]
    return str(uuid5(_NIGHTCAST, json.dumps(words)))


def alert_id(alert: Mapping[str, Any]) -> str:
    """The id of the next message about an alert: that it opened, that it is still open, or that it closed.

    It follows from the alert's key, from that kind, and from the id of the message that a target took last. So it stays
    the same until a target has taken the message and that is noted.
    """
    before = alert.get("message_id")
    kind = "closed" if alert["state"] == "closed" else "opened" if alert["last_sent_at"] is None else "still open"
    return content_id(alert["job"], alert["segment"], alert["signal"], alert["opened_at"], kind, before)


def message_id(ids: Iterable[str]) -> str:
    """The id of a message about several alerts, by the ids of these."""
    return content_id("message", *sorted(ids))
