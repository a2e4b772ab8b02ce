"""Open an alert where the source is stale, and close it when it has new values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import tzinfo
from typing import Any

from models.audit.build_panel import Audit
from sql.output import history, write
from tasks.monitoring import episodes
from tasks.step import logger, step
from tasks.store.places import Places

SIGNAL, SEGMENT = "input", "all"


@step("watch the input", retries=2, retry_delay_seconds=(2, 10))
def watch_input(places: Places, audit: Audit, zone: tzinfo, run_id: str) -> tuple[str, ...]:
    """Keep one alert for as long as the source is stale; `notify` tells of it.

    Returns:
        What opened or closed tonight, in words of days of `zone`, the job's.
    """
    if any(row["cutoff"] > audit.cutoff for row in history.publications(places.engine(), places.job)):
        # A past night run again says nothing about today.
        return ()
    alert = input_alert(places.job, audit, history.alerts(places.engine(), places.job), zone, run_id)
    if alert is None:
        return ()
    write.upsert_alerts(places.engine(), [alert])
    if audit.cutoff not in (alert["opened_at"], alert["closed_at"]):
        return ()
    logger().warning("%s", alert["message"])
    return (str(alert["message"]),)


def input_alert(
    job: str, audit: Audit, alerts: Sequence[Mapping[str, Any]], zone: tzinfo, run_id: str
) -> dict[str, Any] | None:
    """The alert that tonight's audit opens, updates or closes; None where nothing changes.

    Its effect is the number of steps without a value, its onset the newest value of all. Until there is a newer
    one, every night has the same cutoff, or finds the alert open: it opens once.
    """
    found = episodes.find(alerts, SEGMENT, SIGNAL, audit.cutoff)
    newest = f"{audit.last.astimezone(zone):%Y-%m-%d %H:%M}"
    if audit.stale:
        message = f"{job}: the source is stale: its newest value is of {newest}, {audit.late_steps} whole steps ago"
        told = {"onset": audit.last, "effect": float(audit.late_steps), "run_id": run_id, "message": message}
        return episodes.opened(found, job, SEGMENT, SIGNAL, audit.cutoff, **told)
    if found and episodes.is_open(found):
        return episodes.closed(found, audit.cutoff, f"{job}: the source has values up to {newest} again")
    return None
