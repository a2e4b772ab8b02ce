"""Open an alert when the source is stale, and close it when there are new values."""

from __future__ import annotations

from typing import Any

from models.audit.build_panel import Audit
from tasks.monitoring.episodes import AlertFacts, close_alert, find_alert, is_open, open_alert
from tasks.night.night import Night
from tasks.step import logger, step

SIGNAL, SEGMENT = "input", "all"


@step("watch the input", retries=2, retry_delay_seconds=(2, 10))
def watch_input(night: Night, audit: Audit) -> tuple[str, ...]:
    """Keep one alert open for as long as the source is stale; `notify` sends its messages.

    Returns:
        The messages of the alerts that opened or closed tonight.
    """
    if any(row["cutoff"] > night.cutoff for row in night.ledger.publications()):
        # A past night that runs again says nothing about today.
        return ()
    alert = input_alert(night, audit)
    if alert is None:
        return ()
    night.ledger.upsert_alerts([alert])
    if night.cutoff not in (alert["opened_at"], alert["closed_at"]):
        return ()
    logger().warning("%s", alert["message"])
    return (str(alert["message"]),)


def input_alert(night: Night, audit: Audit) -> dict[str, Any] | None:
    """The alert that tonight's audit opens, updates or closes; None if nothing changes.

    Its effect is the number of steps without a value, its onset the newest value of all series. As long as there is no
    newer value, every night has the same cutoff or finds the alert open, so it opens only once.
    """
    job = night.job.name
    found = find_alert(night.ledger.alerts(), SEGMENT, SIGNAL, night.cutoff)
    newest = f"{audit.last.astimezone(night.job.forecast.zone):%Y-%m-%d %H:%M}"
    if audit.stale:
        message = f"{job}: the source is stale. Its newest value is from {newest}, {audit.late_steps} whole steps ago"
        key = {"job": job, "segment": SEGMENT, "signal": SIGNAL, "opened_at": night.cutoff}
        return open_alert(found, key, AlertFacts(audit.last, float(audit.late_steps), night.run_id, None, message))
    if found and is_open(found):
        return close_alert(found, night.cutoff, f"{job}: the source has new values again, up to {newest}")
    return None
