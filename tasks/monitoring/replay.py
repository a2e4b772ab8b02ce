"""What the rule, as it is set now, would have said over the nights that are stored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import tzinfo
from typing import Any

from models.monitoring.signals import as_calibrated
from models.settings.monitoring import MonitorSettings
from sql.output import history
from tasks.monitoring.watch import alerts_after, loss_row
from tasks.store.places import Places

Row = Mapping[str, Any]


def replay_rule(
    places: Places, monitor: MonitorSettings, zone: tzinfo, coverage_meant: float | None = None
) -> list[dict[str, Any]]:
    """What the rule would have said each night as it is set now, of every segment; changes nothing.

    What somebody accepted as usual is usual from that night on here too.

    Arguments as `watch`.

    Raises:
        SourceError: no night has run yet.
    """
    engine = places.ready_engine()
    backtest = as_calibrated(history.backtest_losses(engine, places.job), coverage_meant)
    stored, alerts = history.losses(engine, places.job), history.alerts(engine, places.job)
    watched = Counter(row["evaluated_on"] for row in stored)
    told: dict[str, list[dict[str, Any]]] = {}
    for row in stored:
        nights = told.setdefault(str(row["segment"]), [])
        segments = watched[row["evaluated_on"]] - 1
        nights.append(loss_row(row, nights, backtest, alerts, monitor, zone, segments))
    return sorted((row for nights in told.values() for row in nights), key=lambda row: row["evaluated_on"])


def episodes_of(nights: Sequence[Row], zone: tzinfo) -> list[dict[str, Any]]:
    """The alerts that nights as `replay_rule` gives them would have raised, oldest first."""
    alerts: list[dict[str, Any]] = []
    for night in sorted({row["evaluated_on"] for row in nights}):
        rows = [row for row in nights if row["evaluated_on"] == night]
        for row in rows:
            for alert in alerts_after(row, rows, alerts, (), stale=False, zone=zone):
                key = ("segment", "signal", "opened_at")
                alerts = [each for each in alerts if any(each[name] != alert[name] for name in key)] + [alert]
    return sorted(alerts, key=lambda alert: (alert["opened_at"], alert["segment"], alert["signal"]))
