"""Apply the current alert settings to the nights that are stored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import tzinfo
from typing import Any

from models.monitoring.signals import as_calibrated
from tasks.monitoring.watch import Evaluation, PastLosses, alerts_after, loss_row
from tasks.night.job import Job
from tasks.night.ledger import Ledger, Row


def replay_rule(ledger: Ledger, job: Job) -> list[dict[str, Any]]:
    """The verdicts on each stored night and segment under the job's current settings; changes nothing.

    Levels that somebody accepted as normal count as normal here too, from that night on.

    Returns:
        Rows as of the table `loss`, oldest first.
    """
    stored = ledger.losses()
    hindcast = as_calibrated(ledger.hindcast_losses(), job.nominal_coverage)
    watched = Counter(row["evaluated_on"] for row in stored)
    replayed: dict[str, list[dict[str, Any]]] = {}
    for row in stored:
        # A verdict follows the verdicts before it, so compare with what is replayed, not with what is stored.
        nights = replayed.setdefault(str(row["segment"]), [])
        past = PastLosses(nights, hindcast, ledger.alerts())
        segments = watched[row["evaluated_on"]] - 1
        nights.append(loss_row(row, past, job.monitor, job.forecast.zone, segments))
    return sorted((row for nights in replayed.values() for row in nights), key=lambda row: row["evaluated_on"])


def episodes_of(nights: Sequence[Row], zone: tzinfo) -> list[dict[str, Any]]:
    """The alerts that the nights of `replay_rule` would have raised, oldest first."""
    alerts: list[dict[str, Any]] = []
    for night in sorted({row["evaluated_on"] for row in nights}):
        evaluation = Evaluation([row for row in nights if row["evaluated_on"] == night], (), False, zone)
        for row in evaluation.rows:
            for alert in alerts_after(row, alerts, evaluation):
                key = ("segment", "signal", "opened_at")
                alerts = [each for each in alerts if any(each[name] != alert[name] for name in key)] + [alert]
    return sorted(alerts, key=lambda alert: (alert["opened_at"], alert["segment"], alert["signal"]))
