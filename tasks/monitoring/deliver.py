"""Send one message to one target: to the job's webhook as JSON, or through Apprise as text.

A target that fails is tried three times in all. No target delays the night for long.
"""

from __future__ import annotations

import os
import re
import threading
import time
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import httpx

from sql.secrets.places import remember_url, remember_variable
from tasks.step import logger

# The most that one attempt may take, even if a target answers byte by byte.
_SECONDS = 15.0
_SECONDS_BEFORE_RETRY = (1.0, 5.0)

Message = dict[str, Any]


class NotifyError(ValueError):
    """A target cannot be used as it is written in the job."""


class Target(NamedTuple):
    """A receiver of messages.

    Attributes:
        name: `webhook`, or the environment variable that holds its URL.
        send: Sends a message once; gives the error, or "" if the target accepted it.
    """

    name: str
    send: Callable[[Message], str]


def targets_of(webhook: str | None, variables: list[str]) -> list[Target]:
    """The targets of a job, ready to use.

    Args:
        webhook: A URL, which may name variables of the environment; None for no webhook.
        variables: Names of variables that hold an Apprise URL, each as `${NAME}`.

    Raises:
        NotifyError: a variable is not set, or its URL is none that Apprise knows.
    """
    targets = [Target("webhook", partial(_post, fill_in_environment(webhook, "notify.webhook")))] if webhook else []
    for each in variables:
        name = each[2:-1]
        service = _apprise(fill_in_environment(each, "notify.targets"), name)
        targets.append(Target(name, partial(_send_by_apprise, service)))
    return targets


def deliver(target: Target, message: Message) -> str:
    """Send a message, and again if it fails; gives the last error, or "" if the target accepted the message."""
    error = ""
    for seconds in (*_SECONDS_BEFORE_RETRY, None):
        error = _in_time(partial(target.send, message))
        if not error:
            return ""
        logger().warning("%s did not accept the message: %s", target.name, error)
        if seconds is not None:
            time.sleep(seconds)
    return error


def fill_in_environment(url: str, where: str = "notify.webhook") -> str:
    """A URL with each ${NAME} replaced by that variable of the environment.

    Raises:
        NotifyError: a variable is not set.
    """

    def value(match: re.Match[str]) -> str:
        if match[1] not in os.environ:
            raise NotifyError(f"{where} names the environment variable {match[1]}, which is not set. Set it.")
        remember_variable(match[1], os.environ[match[1]])
        return os.environ[match[1]]

    filled = re.sub(r"\$\{(\w+)\}", value, url)
    # The path of a webhook often is a token.
    remember_url(filled)
    return filled


def _apprise(url: str, name: str) -> Any:
    with warnings.catch_warnings():
        # Apprise imports modules of Python that are deprecated.
        warnings.simplefilter("ignore", DeprecationWarning)
        # The import takes a quarter of a second, so only jobs with such targets pay for it.
        import apprise

        found = apprise.Apprise.instantiate(url, suppress_exceptions=True)
    if found is None:
        raise NotifyError(
            f"The environment variable {name} of notify.targets holds no URL that Apprise knows. "
            "Write it as Apprise documents it, such as mailtos://user:password@example.org or slack://token."
        )
    return found


def _send_by_apprise(service: Any, message: Message) -> str:
    accepted = service.notify(body=message["text"], title=message["title"])
    return "" if accepted else f"{service.service_name or 'it'} refused it, or did not answer"


def _post(url: str, message: Message) -> str:
    document = {name: value for name, value in message.items() if name not in ("title", "text")}
    try:
        httpx.post(url, json=document, timeout=10).raise_for_status()
    except httpx.HTTPStatusError as error:
        return f"it answered {error.response.status_code} {error.response.reason_phrase}"
    except httpx.HTTPError as error:
        return str(error) or type(error).__name__
    except httpx.InvalidURL:
        # The address of a webhook often is a secret, so the message must not contain it.
        return "it is no URL; write notify.webhook as https://host/path"
    return ""


def _in_time(send: Callable[[], str]) -> str:
    """The result of sending, or that it took too long. A thread that hangs does not keep the process from ending."""
    answer = [f"no answer within {_SECONDS:g} seconds"]

    def work() -> None:
        answer[0] = send()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(_SECONDS)
    return answer[0]
