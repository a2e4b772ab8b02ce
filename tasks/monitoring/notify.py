"""Tell people and programs: one message a night to each target, and Prefect events where a server is configured."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sql.output import history, write
from tasks.monitoring.deliver import Target, deliver, targets_of
from tasks.settings import Notify
from tasks.step import step
from tasks.store.places import Places

Row = Mapping[str, Any]

PREFECT = "Prefect"
_NEWS_FOR = timedelta(days=7)
# Of each signal: when it opens, and when it closes.
_EVENTS = {
    "loss": ("nightcast.loss.degraded", "nightcast.loss.recovered"),
    "bias": ("nightcast.bias.degraded", "nightcast.bias.recovered"),
    "coverage": ("nightcast.coverage.degraded", "nightcast.coverage.recovered"),
    "instability": ("nightcast.instability.degraded", "nightcast.instability.recovered"),
    "input": ("nightcast.input.stale", "nightcast.input.fresh"),
}


@dataclass(frozen=True)
class Delivery:
    """What notify did: alerts told tonight, and alerts that some target did not take (tried again next night)."""

    sent: tuple[str, ...]
    undelivered: tuple[str, ...]


def check_targets(targets: Notify) -> None:
    """Make sure that everybody could be told: it must not first be found when there is an alert to tell.

    Raises:
        NotifyError: a variable of the environment is not set, or holds no URL that can be used.
    """
    targets_of(targets.webhook, targets.targets)


@step("notify", retries=2, retry_delay_seconds=(2, 10))
def notify(places: Places, targets: Notify, evaluated_on: datetime, now: datetime) -> Delivery:
    """Tell everybody what is new or has lasted, in one message each; a failed target never fails the night.

    News is an alert that opened or closed and that nobody took yet, one that is open for `repeat_after_days` since
    it was last told, and for a target what it did not take before. What another alert explains is not told: a stale
    source explains everything, the whole job its segments, a loss the bias, the coverage and the instability.
    """
    known = history.alerts(places.engine(), places.job)
    alerts = [each for each in known if _is_told(each, known, evaluated_on)]
    repeat = timedelta(days=targets.repeat_after_days)
    news = [each for each in alerts if each["last_sent_at"] is None or _is_due_again(each, now, repeat)]
    everybody = targets_of(targets.webhook, targets.targets)
    names = {target.name for target in everybody}
    late = [each for each in alerts if each not in news and names & set(each["delivery_errors"] or {})]
    events = [alert_message(each, evaluated_on) for each in sorted(news, key=_weight)]
    took = {PREFECT} if [event for event in events if emit(event["event"], event)] else set[str]()
    refused: dict[str, str] = {}
    for target in everybody:
        mine = news + [each for each in late if target.name in each["delivery_errors"]]
        if not mine:
            continue
        if why := deliver(target, night_message(places.job, mine, evaluated_on)):
            refused[target.name] = why
        else:
            took.add(target.name)
    told = [_after(each, each in news, took, refused, everybody, now) for each in (*news, *late)]
    write.upsert_alerts(places.engine(), told)
    missed = [each for each in told if each["delivery_errors"] or each["last_sent_at"] is None]
    sent = [str(each["message"]) for each in told if each not in missed]
    return Delivery(tuple(sent), tuple(_with_reasons(each) for each in missed))


def alert_message(alert: Row, evaluated_on: datetime) -> dict[str, Any]:
    """The JSON of one alert: event name, job, segment, signal, effect, onset, diagnosis, words."""
    event = _EVENTS[alert["signal"]][alert["state"] == "closed"]
    moments = {name: alert[name].isoformat() if alert[name] else None for name in ("onset", "opened_at", "closed_at")}
    texts = {name: alert[name] for name in ("job", "segment", "signal", "effect", "state", "reason", "message")}
    return {"event": event, **texts, **moments, "evaluated_on": evaluated_on.isoformat()}


def night_message(job: str, alerts: Sequence[Row], evaluated_on: datetime) -> dict[str, Any]:
    """What a target gets of a night: the weightiest alert's own JSON, all of them under `alerts`, and words."""
    events = [alert_message(each, evaluated_on) for each in sorted(alerts, key=_weight)]
    opened = sum(event["state"] != "closed" for event in events)
    title = f"{job}: {opened} alerts open, {len(events) - opened} over"
    text = "\n".join(str(event["message"]) for event in events)
    return {**events[0], "alerts": events, "title": title, "text": text}


def _weight(alert: Row) -> tuple[bool, bool, bool, str, str]:
    whole = alert["segment"] == "all"
    return alert["state"] == "closed", alert["signal"] != "input", not whole, alert["segment"], alert["signal"]


def _is_told(alert: Row, alerts: Sequence[Row], evaluated_on: datetime) -> bool:
    """Whether anybody is to hear of an alert at all."""
    if alert["closed_at"] is not None:
        # A webhook that is set up today must not be flooded with what was over long ago.
        return bool(evaluated_on - alert["closed_at"] <= _NEWS_FOR)
    return alert["state"] != "acknowledged" and not _is_explained(alert, alerts)


def _is_explained(alert: Row, alerts: Sequence[Row]) -> bool:
    """Whether another alert that is open says why this one is."""
    if alert["signal"] == "input":
        return False
    segment, signal = alert["segment"], alert["signal"]
    reasons = {("all", "input"), ("all", "loss"), ("all", signal), (segment, "loss")} - {(segment, signal)}
    return any((each["segment"], each["signal"]) in reasons for each in alerts if each["closed_at"] is None)


def _is_due_again(alert: Row, now: datetime, repeat: timedelta) -> bool:
    return alert["closed_at"] is None and now - alert["last_sent_at"] >= repeat


def _after(
    alert: Row, is_news: bool, took: set[str], refused: Mapping[str, str], everybody: Sequence[Target], now: datetime
) -> dict[str, Any]:
    """The alert with who took it tonight and who did not."""
    asked = {each.name for each in everybody if is_news or each.name in alert["delivery_errors"]}
    undelivered = {name: why for name, why in refused.items() if name in asked}
    heard = is_news and bool(took & (asked | {PREFECT}))
    return {**alert, "last_sent_at": now if heard else alert["last_sent_at"], "delivery_errors": undelivered or None}


def _with_reasons(alert: Row) -> str:
    reasons = "; ".join(f"{name}: {why}" for name, why in (alert["delivery_errors"] or {}).items())
    return f"{alert['message']} ({reasons})" if reasons else str(alert["message"])


@step("say what was left to the fallback")
def announce_fallback(places: Places, cutoff: datetime, fallback_series: int, series: int) -> None:
    """Emit an event where the model could not forecast every series; its effect is the share of those."""
    if fallback_series:
        counts = {"fallback_series": fallback_series, "series": series}
        about = {"segment": "all", "effect": fallback_series / series, "onset": cutoff.isoformat()}
        words = f"{places.job}: {fallback_series} of {series} series by fallback"
        payload = {"job": places.job, "cutoff": cutoff.isoformat(), **about, **counts, "message": words}
        emit("nightcast.run.fallback", payload)


def emit(event: str, payload: Mapping[str, Any]) -> bool:
    """Emit a Prefect event about a job; False where no Prefect server is configured."""
    if not os.environ.get("PREFECT_API_URL"):
        return False
    from prefect.events import emit_event

    resource = {"prefect.resource.id": f"nightcast.job.{payload['job']}", "prefect.resource.name": str(payload["job"])}
    emit_event(event, resource=resource, payload=dict(payload))
    return True
