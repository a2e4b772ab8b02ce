"""Compare tonight's figures with those of past nights, and open or close alerts."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, tzinfo
from operator import itemgetter
from typing import Any, get_args

import numpy as np

from models.evaluation.evaluation_loss import EvaluationLoss
from models.monitoring.diagnosis import diagnose
from models.monitoring.signals import (
    AcceptedChange,
    Signal,
    as_calibrated,
    describe_effect,
    false_alarm_rate,
    state_of,
    verdict_on,
)
from models.settings.monitoring import MonitorSettings
from tasks.monitoring.episodes import AlertFacts, close_alert, find_alert, is_open, open_alert
from tasks.night.ledger import Row
from tasks.night.night import Night
from tasks.step import logger, step

METRIC = "scaled quantile loss"


@dataclass(frozen=True)
class Watched:
    """Tonight's verdicts.

    Attributes:
        losses: Rows written to the table `loss`, one for each segment.
        changes: The messages of the alerts that opened or closed.
    """

    losses: list[dict[str, Any]]
    changes: tuple[str, ...]


@dataclass(frozen=True)
class PastLosses:
    """What a night is compared with.

    Attributes:
        live: Rows of `loss`, oldest first, of all segments.
        hindcast: Rows of `hindcast_loss`, oldest first, of all segments.
        alerts: The job's alerts. Some of them were accepted, so that their level is normal now.
    """

    live: Sequence[Row]
    hindcast: Sequence[Row]
    alerts: Sequence[Row]


@dataclass(frozen=True)
class Evaluation:
    """Everything that the alerts of one evaluation depend on.

    Attributes:
        rows: The evaluation's rows of `loss`, one for each segment.
        runs: The job's runs, newest first.
        stale: Whether the source is stale.
        zone: The time zone of the days in messages.
    """

    rows: Sequence[Row]
    runs: Sequence[Row]
    stale: bool
    zone: tzinfo


@step("watch the loss", retries=2, retry_delay_seconds=(2, 10))
def watch(night: Night, losses: Mapping[str, EvaluationLoss]) -> Watched:
    """Judge each segment against its past nights, store the verdicts, and open or close alerts.

    Args:
        night: Tonight.
        losses: For each segment its loss of tonight.
    """
    job, ledger = night.job, night.ledger
    hindcast = as_calibrated(ledger.hindcast_losses(), job.nominal_coverage)
    past = PastLosses(ledger.losses(), hindcast, ledger.alerts())
    key = {"job": job.name, "evaluated_on": night.cutoff, "metric": METRIC, "run_id": night.run_id}
    rows = [
        loss_row({**key, "segment": segment, **asdict(loss)}, past, job.monitor, job.forecast.zone, len(losses) - 1)
        for segment, loss in losses.items()
    ]
    ledger.upsert_losses(rows)
    if any(row["evaluated_on"] > night.cutoff for row in past.live):
        # A past night that runs again says nothing about today.
        return Watched(rows, ())
    stale = any(alert["signal"] == "input" and alert["closed_at"] is None for alert in past.alerts)
    evaluation = Evaluation(rows, ledger.runs(), stale, job.forecast.zone)
    changed = [alert for row in rows for alert in alerts_after(row, past.alerts, evaluation)]
    changed += [close_orphan(alert, night.cutoff) for alert in past.alerts if is_orphan(alert, losses, job.monitor)]
    ledger.upsert_alerts(changed)
    news = [alert["message"] for alert in changed if night.cutoff in (alert["opened_at"], alert["closed_at"])]
    for message in news:
        logger().warning("%s", message)
    return Watched(rows, tuple(news))


def loss_row(figures: Row, past: PastLosses, monitor: MonitorSettings, zone: tzinfo, segments: int) -> dict[str, Any]:
    """A row of the table `loss`: the figures of one night and segment, and the verdict on each signal.

    Args:
        figures: The night's figures.
        past: What they are compared with. Rows of other segments, rows from this night on, and hindcast rows from the
            first live night on are left out.
        monitor: The job's settings.
        zone: The job's time zone, for days of the week.
        segments: How many segments are watched that night beside the whole job.
    """
    night, segment = figures["evaluated_on"], figures["segment"]
    live = [row for row in past.live if row["segment"] == segment and row["evaluated_on"] < night]
    first = min((row["evaluated_on"] for row in live if row["n"]), default=night)
    before = [row for row in past.hindcast if row["segment"] == segment and row["evaluated_on"] < first]
    nights = [*live, {**figures, "state": "", "other_signals": None}]
    weekday = np.array([row["evaluated_on"].astimezone(zone).weekday() for row in (*before, *nights)], np.int64)
    evaluations = [row["evaluated_on"] for row in nights]
    verdicts: dict[str, dict[str, Any]] = {}
    for signal in get_args(Signal):
        if signal not in monitor.signals:
            verdicts[signal] = {"state": "not evaluated", "reason": "not watched", "onset": None}
            continue
        rate = false_alarm_rate(signal, segment, segments, monitor)
        accepted = accepted_changes(past.alerts, segment, signal, evaluations)
        verdict = verdict_on(signal, nights, before, weekday, monitor, rate, accepted)
        onset = None if verdict.onset is None else evaluations[verdict.onset]
        verdicts[signal] = {**verdict._asdict(), "onset": onset}
    loss = verdicts.pop("loss")
    others = {signal: _as_json(verdict) for signal, verdict in verdicts.items() if signal in monitor.signals}
    return {**figures, "statistic": None, "threshold": 1.0, "effect": None, **loss, "other_signals": others}


def alerts_after(row: Row, alerts: Sequence[Row], evaluation: Evaluation) -> list[dict[str, Any]]:
    """The alerts that one segment's verdicts open, update or close.

    Args:
        row: The segment's row of tonight.
        alerts: The job's alerts before tonight.
        evaluation: Tonight's.
    """
    changed = []
    for signal in get_args(Signal):
        found = find_alert(alerts, row["segment"], signal, row["evaluated_on"])
        state = state_of(signal, row)
        if state == "degraded":
            key = {"job": row["job"], "segment": row["segment"], "signal": signal, "opened_at": row["evaluated_on"]}
            changed.append(open_alert(found, key, _facts(signal, row, evaluation)))
        elif state == "ok" and found is not None and is_open(found):
            since = _day(found["onset"], evaluation.zone)
            message = f"{row['job']}, {row['segment']}: the {signal} is back to its level before {since}"
            changed.append(close_alert(found, row["evaluated_on"], message))
    return changed


def _facts(signal: Signal, row: Row, evaluation: Evaluation) -> AlertFacts:
    """What the alert of a degraded signal says, with the diagnosis."""
    verdict = row if signal == "loss" else row["other_signals"][signal]
    onset = _moment(verdict["onset"])
    bias = (row["other_signals"] or {}).get("bias") or {}
    runs = [run for run in evaluation.runs if run["series"] is not None]
    series = runs[0]["series"] if runs else 0
    before = next((run["series"] for run in runs if run["cutoff"] < onset), None)
    reason = diagnose(
        row["segment"],
        [each["segment"] for each in evaluation.rows if state_of(signal, each) == "degraded"],
        len(evaluation.rows) - 1,
        bias["effect"] if bias.get("state") == "degraded" else None,
        evaluation.stale,
        0 if before is None else series - before,
        series,
    )
    since = _day(onset, evaluation.zone)
    message = f"{row['job']}, {row['segment']}: {describe_effect(signal, verdict['effect'])} since {since}"
    message += f"; diagnosis: {reason}" if reason else ""
    return AlertFacts(onset, verdict["effect"], row.get("run_id"), reason or None, message)


def is_orphan(alert: Row, losses: Mapping[str, EvaluationLoss], monitor: MonitorSettings) -> bool:
    """Whether an open alert is of a segment or signal that is no longer watched, so that no verdict will close it."""
    if alert["signal"] not in get_args(Signal) or alert["closed_at"] is not None:
        return False
    return alert["segment"] not in losses or alert["signal"] not in monitor.signals


def close_orphan(alert: Row, evaluated_on: datetime) -> dict[str, Any]:
    """Close an alert whose segment or signal is no longer watched; no message says that anything recovered."""
    return {
        **alert,
        "state": "closed",
        "closed_at": evaluated_on,
        "last_sent_at": alert["last_sent_at"] or evaluated_on,
        "delivery_errors": None,
        "message": f"{alert['job']}, {alert['segment']}: no longer watched, because the segment or signal is gone",
    }


def accepted_changes(
    alerts: Sequence[Row], segment: str, signal: str, evaluations: Sequence[datetime]
) -> list[AcceptedChange]:
    """The changes of a segment's signal that were accepted by the last of some evaluations, oldest first."""
    changes = [
        each for each in alerts if (each["segment"], each["signal"]) == (segment, signal) and each["accepted_at"]
    ]
    return [
        AcceptedChange(
            bisect_left(evaluations, each["onset"]), bisect_right(evaluations, each["closed_at"]) - 1, each["effect"]
        )
        for each in sorted(changes, key=itemgetter("closed_at"))
        if each["closed_at"] <= evaluations[-1]
    ]


def _as_json(verdict: Row) -> dict[str, Any]:
    """A verdict with null in place of NaN, and times as text."""
    plain = {name: None if isinstance(value, float) and np.isnan(value) else value for name, value in verdict.items()}
    return {**plain, "onset": None if verdict["onset"] is None else verdict["onset"].isoformat()}


def _moment(value: datetime | str) -> datetime:
    return datetime.fromisoformat(value) if isinstance(value, str) else value


def _day(moment: datetime, zone: tzinfo) -> str:
    local = moment.astimezone(zone)
    return f"{local.day} {local:%B %Y}"
