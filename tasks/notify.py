"""Tell people and programs: alerts go to a webhook and, where a server is configured, to Prefect as events."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import httpx
from pydantic import Field

from models.settings import Settings
from sql import history, write
from tasks.places import Places
from tasks.step import logger, step

_SECONDS_BEFORE_RETRY = (1.0, 5.0)
_NEWS_FOR = timedelta(days=7)
# Of each signal: when it opens, and when it closes.
_EVENTS = {
    "loss": ("nightcast.loss.degraded", "nightcast.loss.recovered"),
    "input": ("nightcast.input.stale", "nightcast.input.fresh"),
}


class NotifyError(ValueError):
    """The job's targets cannot be used as they are written."""


class Notify(Settings):
    """Who is told when the loss gets worse or the source stale, and when it is well again."""

    webhook: str | None = Field(None, description="URL that gets each alert as JSON; ${NAME} is the environment's.")


@dataclass(frozen=True)
class Delivery:
    """What notify did: alerts told tonight, and alerts that no target took (tried again next night)."""

    sent: tuple[str, ...]
    undelivered: tuple[str, ...]


@step("notify", retries=2, retry_delay_seconds=(2, 10))
def notify(places: Places, targets: Notify, evaluated_on: datetime, now: datetime) -> Delivery:
    """Send every alert that opened or closed and that nobody was told of; a failed webhook never fails the night."""
    sent: list[str] = []
    undelivered: list[str] = []
    for alert in history.alerts(places.engine(), places.job):
        if not _is_news(alert, evaluated_on):
            continue
        message = alert_message(alert, evaluated_on)
        if _tell(targets, message):
            write.upsert_alerts(places.engine(), [{**alert, "last_sent_at": now}])
            sent.append(message["message"])
        else:
            undelivered.append(message["message"])
    return Delivery(tuple(sent), tuple(undelivered))


def alert_message(alert: Mapping[str, Any], evaluated_on: datetime) -> dict[str, Any]:
    """The JSON of one alert: event name, job, segment, effect, onset, words."""
    event = _EVENTS[alert["signal"]][alert["state"] == "closed"]
    moments = {name: alert[name].isoformat() if alert[name] else None for name in ("onset", "opened_at", "closed_at")}
    texts = {name: alert[name] for name in ("job", "segment", "signal", "effect", "state", "message")}
    return {"event": event, **texts, **moments, "evaluated_on": evaluated_on.isoformat()}


def fill_in_environment(url: str) -> str:
    """A URL with each ${NAME} replaced by the environment's value.

    Raises:
        NotifyError: a variable is not set.
    """

    def value(match: re.Match[str]) -> str:
        if match[1] not in os.environ:
            raise NotifyError(f"notify.webhook names the environment variable {match[1]}, which is not set. Set it.")
        return os.environ[match[1]]

    return re.sub(r"\$\{(\w+)\}", value, url)


def _is_news(alert: Mapping[str, Any], evaluated_on: datetime) -> bool:
    if alert["last_sent_at"] is not None or alert["state"] == "acknowledged":
        return False
    # A webhook that is set up today must not be flooded with what was over long ago.
    return alert["closed_at"] is None or bool(evaluated_on - alert["closed_at"] <= _NEWS_FOR)


def _tell(targets: Notify, message: dict[str, Any]) -> bool:
    """Whether at least one target was there and all that were took the message."""
    told = emit(message["event"], message)
    if targets.webhook:
        return _post(fill_in_environment(targets.webhook), message)
    return told


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


def _post(url: str, message: dict[str, Any]) -> bool:
    for seconds in (*_SECONDS_BEFORE_RETRY, None):
        try:
            httpx.post(url, json=message, timeout=10).raise_for_status()
            return True
        except httpx.HTTPError as error:
            logger().warning("The webhook did not take %s: %s", message["event"], _without_address(error))
            if seconds is not None:
                time.sleep(seconds)
        except httpx.InvalidURL:
            logger().warning("notify.webhook is not a URL. Write it as https://host/path.")
            return False
    return False


def _without_address(error: httpx.HTTPError) -> str:
    # The address of a webhook is often its secret, and httpx writes it anew in its own way.
    if isinstance(error, httpx.HTTPStatusError):
        return f"it answered {error.response.status_code} {error.response.reason_phrase}"
    return str(error) or type(error).__name__
