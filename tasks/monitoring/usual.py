"""What the rule takes as usual: the loss over the seasonal naive's that it expects of a night."""

from __future__ import annotations

from datetime import datetime, tzinfo

import numpy as np

from models.monitoring.signals import usual_ratio
from models.settings.monitoring import MonitorSettings
from tasks.monitoring.watch import PastLosses, accepted_changes
from tasks.night.ledger import Row


def usual_ratio_of(
    night: datetime, segment: str, past: PastLosses, monitor: MonitorSettings, zone: tzinfo
) -> float | None:
    """The loss of a segment over the seasonal naive's that the rule expected of a night.

    Args:
        night: The evaluation.
        segment: The group of series.
        past: As of `watch`; here with the row of the night itself.
        monitor: The job's settings.
        zone: The job's time zone, for days of the week.

    Returns:
        None where the night has no row, or the rule knows too few nights to compare with.
    """
    nights = [row for row in past.live if row["segment"] == segment and row["evaluated_on"] <= night]
    if not nights or nights[-1]["evaluated_on"] != night:
        return None
    first = min((row["evaluated_on"] for row in nights[:-1] if row["n"]), default=night)
    before = [row for row in past.hindcast if row["segment"] == segment and row["evaluated_on"] < first]
    weekday = np.array([row["evaluated_on"].astimezone(zone).weekday() for row in (*before, *nights)], np.int64)
    accepted = accepted_changes(past.alerts, segment, "loss", [row["evaluated_on"] for row in nights])
    found = usual_ratio(nights, before, weekday, monitor, accepted)
    return None if np.isnan(found) else found


def ratio_of(row: Row) -> float | None:
    """The loss over the seasonal naive's; None where either is not known, or the naive was always right."""
    loss, baseline = row.get("loss"), row.get("baseline_loss")
    return None if loss is None or not baseline else loss / baseline
