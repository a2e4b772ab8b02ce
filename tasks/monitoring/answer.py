"""What people say of open alerts: that they know of one, or that what it tells of is usual from now on."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, get_args

from models.monitoring.signals import Signal
from sql.errors import SourceError
from sql.output import history, write
from tasks.store.places import Places

Row = Mapping[str, Any]


def acknowledge_alert(places: Places, segment: str, by: str, at: datetime) -> list[dict[str, Any]]:
    """Note who knows of a segment's open alerts.

    Raises:
        SourceError: no night has run yet, or the segment has no open alert.
    """
    mine = _open_alerts(places, segment)
    unknown = [each for each in mine if each["state"] == "open"] or mine
    acknowledged = [{**each, "state": "acknowledged", "acknowledged_by": by, "acknowledged_at": at} for each in unknown]
    write.upsert_alerts(places.engine(), acknowledged)
    return acknowledged


def accept_alert(places: Places, segment: str, by: str, at: datetime) -> list[dict[str, Any]]:
    """Close a segment's open alerts, and let what they tell of be usual from the newest evaluation on.

    The whole job's alert explains those of its segments, so these are accepted with it, signal by signal.

    Raises:
        SourceError: no night has run yet, or the segment has no open alert, or one of its input alone.
    """
    mine = [each for each in _open_alerts(places, segment) if each["signal"] in get_args(Signal)]
    if not mine:
        raise SourceError(
            f"{places.job} has no open alert of segment {segment!r} but of its input, which ends with new values in "
            "the source. Use `alerts acknowledge`."
        )
    engine = places.engine()
    if segment == "all":
        signals = {each["signal"] for each in mine}
        mine = [each for each in history.open_alerts(engine, places.job) if each["signal"] in signals]
    newest = max(row["evaluated_on"] for row in history.losses(engine, places.job))
    told = {"state": "closed", "closed_at": newest, "accepted_at": at, "acknowledged_by": by, "acknowledged_at": at}
    accepted = [
        # Who said so needs no message of it.
        {**each, **told, "last_sent_at": each["last_sent_at"] or newest, "delivery_errors": None}
        for each in mine
    ]
    write.upsert_alerts(engine, accepted)
    return accepted


def _open_alerts(places: Places, segment: str) -> list[Row]:
    alerts = history.open_alerts(places.ready_engine(), places.job)
    mine: list[Row] = [each for each in alerts if each["segment"] == segment]
    if not mine:
        known = sorted({str(alert["segment"]) for alert in alerts}) or "none"
        raise SourceError(f"{places.job} has no open alert of segment {segment!r}; open ones: {known}. Use --segment.")
    return mine
