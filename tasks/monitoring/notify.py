"""Send messages: one a night to each of the job's targets, and events to Prefect if a server is configured."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from models.counted import counted
from tasks.monitoring.deliver import Target, deliver, targets_of
from tasks.monitoring.explained import explanation_of
from tasks.monitoring.message_ids import alert_id, content_id, message_id
from tasks.night.ledger import Row
from tasks.night.night import Night
from tasks.printing.safe import without_secrets
from tasks.settings import Notify
from tasks.step import step

PREFECT = "Prefect"
_CLOSED_IS_NEWS_FOR = timedelta(days=7)
# For each signal the event when its alert opens, and the event when it closes.
_EVENTS = {
    "loss": ("nightcast.loss.degraded", "nightcast.loss.recovered"),
    "bias": ("nightcast.bias.degraded", "nightcast.bias.recovered"),
    "coverage": ("nightcast.coverage.degraded", "nightcast.coverage.recovered"),
    "instability": ("nightcast.instability.degraded", "nightcast.instability.recovered"),
    "anomaly": ("nightcast.anomaly.many", "nightcast.anomaly.few"),
    "input": ("nightcast.input.stale", "nightcast.input.fresh"),
}


@dataclass(frozen=True)
class Notified:
    """What was sent tonight.

    Attributes:
        sent: Messages of the alerts that every target accepted.
        undelivered: Messages of the alerts that some target did not accept. They are sent again the next night.
    """

    sent: tuple[str, ...] = ()
    undelivered: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Outcome:
    """How the targets answered.

    Attributes:
        accepted: Names of the targets that accepted their message.
        errors: For each other target that was sent one, why it did not accept it.
    """

    accepted: set[str]
    errors: dict[str, str]


def check_targets(settings: Notify) -> None:
    """Check that every target can be used, before a night rather than when there is an alert to send.

    Raises:
        NotifyError: a variable of the environment is not set, or holds no URL that can be used.
    """
    targets_of(settings.webhook, settings.targets)


@step("notify", retries=2, retry_delay_seconds=(2, 10))
def notify(night: Night) -> Notified:
    """Send every target one message with the alerts that are due; a target that fails never fails the night.

    An alert is due if it opened or closed and was not sent yet, if it is still open `repeat_after_days` after it was
    last sent, and for a target that did not accept it before. An alert that another open alert explains is not sent: a
    stale source explains all others, the whole job explains its segments, and the loss explains the other signals but
    anomalies, which no other alert explains.
    """
    settings, ledger = night.job.notify, night.ledger
    targets = targets_of(settings.webhook, settings.targets)
    alerts = ledger.alerts()
    relevant = [each for each in alerts if _is_relevant(each, alerts, night.cutoff)]
    repeat = timedelta(days=settings.repeat_after_days)
    due = [each for each in relevant if each["last_sent_at"] is None or _is_due_again(each, night.started_at, repeat)]
    names = {target.name for target in targets}
    failed = [each for each in relevant if each not in due and names & set(each["delivery_errors"] or {})]
    outcome = _send(night, targets, due, failed)
    updated = [_after_sending(each, targets, outcome, night.started_at) for each in due]
    updated += [_after_retry(each, targets, outcome) for each in failed]
    ledger.upsert_alerts(updated)
    if not names and not outcome.accepted:
        # Nobody is to be told, so nothing was missed.
        return Notified()
    missed = [each for each in updated if each["delivery_errors"] or each["last_sent_at"] is None]
    sent = [str(each["message"]) for each in updated if each not in missed]
    return Notified(tuple(sent), tuple(_with_errors(each) for each in missed))


def _send(night: Night, targets: Sequence[Target], due: Sequence[Row], failed: Sequence[Row]) -> _Outcome:
    """Emit an event for each alert that is due, and send each target its message."""
    due = [{**each, "message_id": alert_id(each)} for each in due]
    # The page is written at the end of the night.
    report = night.places.published_at(night.places.report_file(night.cutoff)) or None
    events = [{**alert_message(each, night.cutoff), "report": report} for each in sorted(due, key=_importance)]
    emitted = [event for event in events if emit(event["event"], event)]
    outcome = _Outcome({PREFECT} if emitted else set(), {})
    for target in targets:
        alerts = [*due, *(each for each in failed if target.name in each["delivery_errors"])]
        if not alerts:
            continue
        if error := deliver(target, night_message(night.job.name, alerts, night.cutoff, report)):
            outcome.errors[target.name] = error
        else:
            outcome.accepted.add(target.name)
    return outcome


def alert_message(alert: Row, evaluated_on: datetime) -> dict[str, Any]:
    """The JSON of one alert: id, event, job, segment, signal, effect, onset, diagnosis and a sentence for people.

    Args:
        alert: Its row; `message_id` is the id of this message.
        evaluated_on: Cutoff of the night that sends it.
    """
    event = _EVENTS[alert["signal"]][alert["state"] == "closed"]
    moments = {name: alert[name].isoformat() if alert[name] else None for name in ("onset", "opened_at", "closed_at")}
    texts = {name: alert[name] for name in ("job", "segment", "signal", "effect", "state", "reason", "message")}
    return {"id": alert["message_id"], "event": event, **texts, **moments, "evaluated_on": evaluated_on.isoformat()}


def night_message(job: str, alerts: Sequence[Row], evaluated_on: datetime, report: str | None = None) -> dict[str, Any]:
    """The message of a night: the JSON of the most important alert, all alerts under `alerts`, and text for people.

    Its `message_id` is the same whenever the same alerts are sent again. `report` is the address of the night's page;
    None where no web server is known to publish it.
    """
    events = [alert_message(each, evaluated_on) for each in sorted(alerts, key=_importance)]
    opened = sum(event["state"] != "closed" for event in events)
    title = f"{job}: {counted(opened, 'alert')} open, {len(events) - opened} closed"
    identity = message_id(str(event["id"]) for event in events)
    link = [f"Report: {report}"] if report else []
    text = "\n".join([*(str(event["message"]) for event in events), *link, f"Message {identity}"])
    return {**events[0], "message_id": identity, "alerts": events, "report": report, "title": title, "text": text}


def _importance(alert: Row) -> tuple[bool, bool, bool, str, str]:
    whole = alert["segment"] == "all"
    return alert["state"] == "closed", alert["signal"] != "input", not whole, alert["segment"], alert["signal"]


def _is_relevant(alert: Row, alerts: Sequence[Row], evaluated_on: datetime) -> bool:
    """Whether anybody should get a message about an alert at all."""
    if alert["closed_at"] is not None:
        # A new webhook must not be flooded with alerts that were closed long ago.
        return bool(evaluated_on - alert["closed_at"] <= _CLOSED_IS_NEWS_FOR)
    return alert["state"] != "acknowledged" and explanation_of(alert, alerts) is None


def _is_due_again(alert: Row, now: datetime, repeat: timedelta) -> bool:
    return alert["closed_at"] is None and now - alert["last_sent_at"] >= repeat


def _after_sending(alert: Row, targets: Sequence[Target], outcome: _Outcome, now: datetime) -> dict[str, Any]:
    """An alert that was due, with the time of sending if anybody accepted it, and the errors of the others."""
    names = {target.name for target in targets}
    errors = {name: error for name, error in outcome.errors.items() if name in names}
    accepted = bool(outcome.accepted & (names | {PREFECT}))
    # Until a target has taken the message, it keeps its id.
    sent = {"last_sent_at": now, "message_id": alert_id(alert)} if accepted else {}
    return {**alert, **sent, "delivery_errors": errors or None}


def _after_retry(alert: Row, targets: Sequence[Target], outcome: _Outcome) -> dict[str, Any]:
    """An alert that some targets did not accept before, with the errors that remain."""
    names = {target.name for target in targets if target.name in alert["delivery_errors"]}
    errors = {name: error for name, error in outcome.errors.items() if name in names}
    return {**alert, "delivery_errors": errors or None}


def _with_errors(alert: Row) -> str:
    errors = "; ".join(f"{name}: {error}" for name, error in (alert["delivery_errors"] or {}).items())
    return f"{alert['message']} ({errors})" if errors else str(alert["message"])


@step("announce fallbacks")
def announce_fallback(night: Night, fallback_series: int, series: int) -> None:
    """Emit an event if the model did not forecast every series; its effect is the share of the others."""
    if not fallback_series:
        return
    emit(
        "nightcast.run.fallback",
        {
            "id": content_id("fallback", night.job.name, night.cutoff, fallback_series, series),
            "job": night.job.name,
            "cutoff": night.cutoff.isoformat(),
            "segment": "all",
            "effect": fallback_series / series,
            "onset": night.cutoff.isoformat(),
            "fallback_series": fallback_series,
            "series": series,
            "message": f"{night.job.name}: {fallback_series} of {series} series by fallback",
        },
    )


def emit(event: str, payload: Mapping[str, Any]) -> bool:
    """Emit a Prefect event about a job; False if no Prefect server is configured.

    Args:
        event: Its name.
        payload: What it says; `job` at least. Its `id`, if there is one, is the id of the event too.
    """
    if not os.environ.get("PREFECT_API_URL"):
        return False
    from prefect.events import emit_event

    resource = {"prefect.resource.id": f"nightcast.job.{payload['job']}", "prefect.resource.name": str(payload["job"])}
    identity = UUID(payload["id"]) if payload.get("id") else None
    emit_event(event, resource=resource, payload=without_secrets(dict(payload)), id=identity)
    return True
