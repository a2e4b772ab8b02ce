"""Compare tonight's figures with what is usual of the job, and open or close alerts."""

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
from sql.output import history, write
from tasks.monitoring import episodes
from tasks.step import logger, step
from tasks.store.places import Places

Row = Mapping[str, Any]
METRIC = "scaled quantile loss"


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
    losses: Mapping[str, EvaluationLoss],
    monitor: MonitorSettings,
    zone: tzinfo,
    evaluated_on: datetime,
    run_id: str,
    coverage_meant: float | None = None,
) -> Watched:
    """Judge each segment against its past nights, keep the verdicts, and open or close alerts.

    Days in messages are those of `zone`, the job's: a day's midnight in Madrid is the evaluation before in UTC. What
    the widest interval is calibrated to hold, if it is, is `coverage_meant`.
    """
    engine, job = places.engine(), places.job
    stored, backtest = history.losses(engine, job), as_calibrated(history.backtest_losses(engine, job), coverage_meant)
    alerts, runs = history.alerts(engine, job), history.runs(engine, job)
    rows = [
        loss_row(figures | {"run_id": run_id}, stored, backtest, alerts, monitor, zone, segments=len(losses) - 1)
        for figures in (tonight(job, segment, loss, evaluated_on) for segment, loss in losses.items())
    ]
    write.upsert_losses(engine, rows)
    if any(row["evaluated_on"] > evaluated_on for row in stored):
        # A past night run again says nothing about today.
        return Watched(rows, ())
    stale = any(alert["signal"] == "input" and alert["closed_at"] is None for alert in alerts)
    changed = [alert for row in rows for alert in alerts_after(row, rows, alerts, runs, stale, zone)]
    changed += [without_segment(alert, evaluated_on) for alert in alerts if is_orphan(alert, losses, monitor)]
    write.upsert_alerts(engine, changed)
    news = [alert["message"] for alert in changed if evaluated_on in (alert["opened_at"], alert["closed_at"])]
    for message in news:
        logger().warning("%s", message)
    return Watched(rows, tuple(news))


def tonight(job: str, segment: str, loss: EvaluationLoss, evaluated_on: datetime) -> dict[str, Any]:
    """One segment's figures of tonight, without a verdict."""
    return {
        "job": job,
        "evaluated_on": evaluated_on,
        "segment": segment,
        "metric": METRIC,
        **asdict(loss),
    }


def loss_row(
    figures: Row,
    stored: Sequence[Row],
    backtest: Sequence[Row],
    alerts: Sequence[Row],
    monitor: MonitorSettings,
    zone: tzinfo,
    segments: int,
) -> dict[str, Any]:
    """A row of the table `loss`: figures of a night and segment, and the rule's verdicts on them.

    Args:
        figures: The night's.
        stored: Rows of `loss`, oldest first; those of other segments and from this night on are left out.
        backtest: Rows of `hindcast_loss`, likewise; those that a live night has taken the place of are left out too.
        alerts: Of the job; those that somebody accepted, by that night, as what is usual now.
        monitor: Settings.
        zone: The job's, for days of the week.
        segments: How many are watched that night beside the whole job.
    """
    night, segment = figures["evaluated_on"], figures["segment"]
    past = [row for row in stored if row["segment"] == segment and row["evaluated_on"] < night]
    first = min((row["evaluated_on"] for row in past if row["n"]), default=night)
    before = [row for row in backtest if row["segment"] == segment and row["evaluated_on"] < first]
    nights = [*past, {**figures, "state": "", "other_signals": None}]
    weekday = np.array([row["evaluated_on"].astimezone(zone).weekday() for row in (*before, *nights)], np.int64)
    evaluations = [row["evaluated_on"] for row in nights]
    verdicts: dict[str, dict[str, Any]] = {}
    for signal in get_args(Signal):
        if signal not in monitor.signals:
            verdicts[signal] = {"state": "not evaluated", "reason": "not watched", "onset": None}
            continue
        rate = false_alarm_rate(signal, segment, segments, monitor)
        accepted = _accepted(alerts, segment, signal, evaluations)
        verdict = verdict_on(signal, nights, before, weekday, monitor, rate, accepted)
        onset = None if verdict.onset is None else evaluations[verdict.onset]
        verdicts[signal] = {**verdict._asdict(), "onset": onset}
    loss = verdicts.pop("loss")
    others = {signal: _as_json(verdict) for signal, verdict in verdicts.items() if signal in monitor.signals}
    return {**figures, "statistic": None, "threshold": 1.0, "effect": None, **loss, "other_signals": others}


def alerts_after(
    row: Row, rows: Sequence[Row], alerts: Sequence[Row], runs: Sequence[Row], stale: bool, zone: tzinfo
) -> list[dict[str, Any]]:
    """The alerts that one segment's verdicts open, update or close.

    Args:
        row: The segment's row of tonight.
        rows: Those of all segments.
        alerts: As they were.
        runs: Of the job, newest first.
        stale: Whether the source is.
        zone: For days in messages.
    """
    changed = []
    for signal in get_args(Signal):
        found = episodes.find(alerts, row["segment"], signal, row["evaluated_on"])
        state = state_of(signal, row)
        if state == "degraded":
            changed.append(_degraded(signal, row, rows, found, runs, stale, zone))
        elif state == "ok" and found is not None and episodes.is_open(found):
            message = f"{row['job']}, {row['segment']}: the {signal} is what it was before {_day(found['onset'], zone)}"
            changed.append(episodes.closed(found, row["evaluated_on"], message))
    return changed


def _degraded(
    signal: Signal, row: Row, rows: Sequence[Row], found: Row | None, runs: Sequence[Row], stale: bool, zone: tzinfo
) -> dict[str, Any]:
    verdict = row if signal == "loss" else row["other_signals"][signal]
    onset = _moment(verdict["onset"])
    bias = (row["other_signals"] or {}).get("bias") or {}
    series = [run["series"] for run in runs if run["series"] is not None]
    before = [run["series"] for run in runs if run["series"] is not None and run["cutoff"] < onset]
    reason = diagnose(
        row["segment"],
        [each["segment"] for each in rows if state_of(signal, each) == "degraded"],
        len(rows) - 1,
        bias["effect"] if bias.get("state") == "degraded" else None,
        stale,
        series[0] - before[0] if before else 0,
        series[0] if series else 0,
    )
    message = f"{row['job']}, {row['segment']}: {describe_effect(signal, verdict['effect'])} since {_day(onset, zone)}"
    message += f"; diagnosis: {reason}" if reason else ""
    told = {"onset": onset, "effect": verdict["effect"], "run_id": row.get("run_id"), "reason": reason or None}
    return episodes.opened(found, row["job"], row["segment"], signal, row["evaluated_on"], **told, message=message)


def is_orphan(alert: Row, losses: Mapping[str, EvaluationLoss], monitor: MonitorSettings) -> bool:
    """Whether an open alert is of a segment or signal that is no longer watched: no verdict will ever close it."""
    if alert["signal"] not in get_args(Signal) or alert["closed_at"] is not None:
        return False
    return alert["segment"] not in losses or alert["signal"] not in monitor.signals


def without_segment(alert: Row, evaluated_on: datetime) -> dict[str, Any]:
    """An alert closed because its segment is gone; nobody is told that anything recovered."""
    return {
        **alert,
        "state": "closed",
        "closed_at": evaluated_on,
        "last_sent_at": alert["last_sent_at"] or evaluated_on,
        "delivery_errors": None,
        "message": f"{alert['job']}, {alert['segment']}: watched no longer, for the segment or signal is gone",
    }


def _accepted(
    alerts: Sequence[Row], segment: str, signal: str, evaluations: Sequence[datetime]
) -> list[AcceptedChange]:
    """What was accepted of a segment's signal by the last of some evaluations, oldest first."""
    mine = [each for each in alerts if (each["segment"], each["signal"]) == (segment, signal) and each["accepted_at"]]
    return [
        AcceptedChange(
            bisect_left(evaluations, each["onset"]), bisect_right(evaluations, each["closed_at"]) - 1, each["effect"]
        )
        for each in sorted(mine, key=itemgetter("closed_at"))
        if each["closed_at"] <= evaluations[-1]
    ]


def _as_json(verdict: Row) -> dict[str, Any]:
    """A verdict without what JSON has no word for."""
    plain = {name: None if isinstance(value, float) and np.isnan(value) else value for name, value in verdict.items()}
    return {**plain, "onset": None if verdict["onset"] is None else verdict["onset"].isoformat()}


def _moment(value: datetime | str) -> datetime:
    return datetime.fromisoformat(value) if isinstance(value, str) else value


def _day(moment: datetime, zone: tzinfo) -> str:
    local = moment.astimezone(zone)
    return f"{local.day} {local:%B %Y}"
