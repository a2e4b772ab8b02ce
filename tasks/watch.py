"""Compare tonight's loss with its past, and open or close alerts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any

import numpy as np

from models.degradation import Verdict, judge
from models.scoring import EveningLoss
from models.settings import MonitorSettings
from sql import history, write
from sql.errors import SourceError
from tasks import alert_episode
from tasks.places import Places
from tasks.step import logger, step

SIGNAL = "loss"
METRIC = "scaled pinball"


@dataclass(frozen=True)
class Watched:
    """Tonight's verdicts.

    Attributes:
        losses: Rows written to the table `loss`, one per segment.
        changes: Alerts that opened or closed, in words.
    """

    losses: list[dict[str, Any]]
    changes: tuple[str, ...]


@step("watch the loss", retries=2, retry_delay_seconds=(2, 10))
def watch(
    places: Places,
    losses: Mapping[str, EveningLoss],
    monitor: MonitorSettings,
    zone: tzinfo,
    evaluated_on: datetime,
    run_id: str,
) -> Watched:
    """Judge each segment against its past nights, keep the verdicts, and open or close alerts.

    Days in messages are those of `zone`, the job's: a day's midnight in Madrid is the evening before in UTC.
    """
    stored = history.losses(places.engine(), places.job)
    rows = [
        loss_row(places.job, segment, loss, stored, monitor, evaluated_on) | {"run_id": run_id}
        for segment, loss in losses.items()
    ]
    write.upsert_losses(places.engine(), rows)
    if any(row["evaluated_on"] > evaluated_on for row in stored):
        # A past night run again says nothing about today.
        return Watched(rows, ())
    alerts = history.alerts(places.engine(), places.job)
    changed = [alert for row in rows if (alert := alert_after(row, alerts, zone))]
    changed += [without_segment(alert, evaluated_on) for alert in alerts if is_orphan(alert, losses)]
    write.upsert_alerts(places.engine(), changed)
    news = [alert["message"] for alert in changed if evaluated_on in (alert["opened_at"], alert["closed_at"])]
    for message in news:
        logger().warning("%s", message)
    return Watched(rows, tuple(news))


def loss_row(
    job: str,
    segment: str,
    loss: EveningLoss,
    stored: Sequence[Mapping[str, Any]],
    monitor: MonitorSettings,
    evaluated_on: datetime,
) -> dict[str, Any]:
    """One segment's row of the table `loss`: tonight's figures and the rule's verdict on them."""
    past = [row for row in stored if row["segment"] == segment and row["evaluated_on"] < evaluated_on]
    tonight = {"loss": loss.loss, "baseline_loss": loss.baseline_loss}
    verdict = judge_nights([*past, {**tonight, "state": ""}], monitor)
    onset = None if verdict.onset is None else [*(row["evaluated_on"] for row in past), evaluated_on][verdict.onset]
    return {
        "job": job,
        "evaluated_on": evaluated_on,
        "segment": segment,
        "metric": METRIC,
        **tonight,
        "coverage": loss.coverage,
        "bias": loss.bias,
        "n": loss.n,
        "statistic": verdict.statistic,
        "limit": verdict.limit,
        "effect": verdict.effect,
        "onset": onset,
        "state": verdict.state,
    }


def judge_nights(nights: Sequence[Mapping[str, Any]], monitor: MonitorSettings) -> Verdict:
    """The rule's verdict on the newest of some rows of one segment, oldest first."""
    losses, baseline = (
        np.array([np.nan if row[name] is None else row[name] for row in nights]) for name in ("loss", "baseline_loss")
    )
    return judge(losses, baseline, monitor, [str(row["state"]) for row in nights])


def alert_after(row: Mapping[str, Any], alerts: Sequence[Mapping[str, Any]], zone: tzinfo) -> dict[str, Any] | None:
    """The alert that a segment's verdict opens, updates or closes; None where nothing changes."""
    job, segment, night = row["job"], row["segment"], row["evaluated_on"]
    found = alert_episode.find(alerts, segment, SIGNAL, night)
    if row["state"] == "degraded":
        message = (
            f"{job}, {segment}: the loss relative to the seasonal naive's is {row['effect']:.0%} above its past, "
            f"probably since {row['onset'].astimezone(zone):%Y-%m-%d}"
        )
        told = {name: row[name] for name in ("onset", "effect", "run_id")}
        return alert_episode.opened(found, job, segment, SIGNAL, night, **told, message=message)
    if row["state"] == "ok" and found and alert_episode.is_open(found):
        since = f"{found['onset'].astimezone(zone):%Y-%m-%d}"
        return alert_episode.closed(found, night, f"{job}, {segment}: the loss is what it was before {since}")
    return None


def is_orphan(alert: Mapping[str, Any], losses: Mapping[str, EveningLoss]) -> bool:
    """Whether an open alert is of a segment that is no longer there: no verdict will ever close it."""
    return alert["signal"] == SIGNAL and alert["closed_at"] is None and alert["segment"] not in losses


def without_segment(alert: Mapping[str, Any], evaluated_on: datetime) -> dict[str, Any]:
    """An alert closed because its segment is gone; nobody is told that anything recovered."""
    return {
        **alert,
        "state": "closed",
        "closed_at": evaluated_on,
        "last_sent_at": alert["last_sent_at"] or evaluated_on,
        "message": f"{alert['job']}, {alert['segment']}: watched no longer, for the segment is gone",
    }


def acknowledge_alert(places: Places, segment: str, by: str, at: datetime) -> dict[str, Any]:
    """Note who knows of a segment's open alert.

    Raises:
        SourceError: no night has run yet, or the segment has no open alert.
    """
    engine = places.ready_engine()
    alerts = history.open_alerts(engine, places.job)
    # Of several, one that nobody knows of yet.
    mine = sorted((each for each in alerts if each["segment"] == segment), key=lambda each: each["state"] != "open")
    found = next(iter(mine), None)
    if found is None:
        known = sorted({str(alert["segment"]) for alert in alerts}) or "none"
        raise SourceError(f"{places.job} has no open alert of segment {segment!r}; open ones: {known}. Use --segment.")
    acknowledged = {**found, "state": "acknowledged", "acknowledged_by": by, "acknowledged_at": at}
    write.upsert_alerts(engine, [acknowledged])
    return acknowledged


def replay_rule(places: Places, monitor: MonitorSettings) -> list[dict[str, Any]]:
    """What the rule would have said each night as it is set now, of every segment; changes nothing.

    Raises:
        SourceError: no night has run yet.
    """
    told: dict[str, list[dict[str, Any]]] = {}
    for row in history.losses(places.ready_engine(), places.job):
        nights = told.setdefault(str(row["segment"]), [])
        verdict = judge_nights([*nights, {**row, "state": ""}], monitor)
        said = {name: getattr(verdict, name) for name in ("statistic", "limit", "effect", "state")}
        nights.append({**row, **said})
    return sorted((row for nights in told.values() for row in nights), key=lambda row: row["evaluated_on"])
