"""One message to one target: the job's webhook as JSON, or whatever Apprise has a word for, as text.

A target that fails is tried again twice, and none of them holds the night up for long.
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

from tasks.step import logger

# What each attempt may take in all, also where a target answers byte by byte.
_SECONDS = 15.0
_SECONDS_BEFORE_RETRY = (1.0, 5.0)

Message = dict[str, Any]


class NotifyError(ValueError):
    """The job's targets cannot be used as they are written."""


class Target(NamedTuple):
    """Somebody who is told.

    Attributes:
        name: `webhook`, or the environment variable that holds its URL.
        send: Sends a message once; says why it was not taken, "" where it was.
    """

    name: str
    send: Callable[[Message], str]


def targets_of(webhook: str | None, variables: list[str]) -> list[Target]:
    """The targets of a job, ready to use.

    Args:
        webhook: A URL, which may name variables of the environment.
        variables: `${NAME}` each, that of a variable which holds an Apprise URL.

    Raises:
        NotifyError: a variable is not set, or holds nothing that Apprise knows.
    """
    targets = [Target("webhook", partial(_post, fill_in_environment(webhook, "notify.webhook")))] if webhook else []
    for each in variables:
        name = each[2:-1]
        targets.append(Target(name, partial(_tell, _apprise(fill_in_environment(each, "notify.targets"), name))))
    return targets


def deliver(target: Target, message: Message) -> str:
    """Send a message, again where it fails; why it was not taken in the end, "" where it was."""
    why = ""
    for seconds in (*_SECONDS_BEFORE_RETRY, None):
        why = _in_time(partial(target.send, message))
        if not why:
            return ""
        logger().warning("%s did not take the message: %s", target.name, why)
        if seconds is not None:
            time.sleep(seconds)
    return why


def fill_in_environment(url: str, where: str = "notify.webhook") -> str:
    """A URL with each ${NAME} replaced by the environment's value.

    Raises:
        NotifyError: a variable is not set.
    """

    def value(match: re.Match[str]) -> str:
        if match[1] not in os.environ:
            raise NotifyError(f"{where} names the environment variable {match[1]}, which is not set. Set it.")
        return os.environ[match[1]]

    return re.sub(r"\$\{(\w+)\}", value, url)


def _apprise(url: str, name: str) -> Any:
    with warnings.catch_warnings():
        # It loads modules of Python that are about to go.
        warnings.simplefilter("ignore", DeprecationWarning)
        # A quarter of a second, for jobs that have such targets alone.
        import apprise

        found = apprise.Apprise.instantiate(url, suppress_exceptions=True)
    if found is None:
        raise NotifyError(
            f"The environment variable {name} of notify.targets holds no URL that Apprise knows. "
            "Write it as its documentation says, such as mailtos://user:password@example.org or slack://token."
        )
    return found


def _tell(service: Any, message: Message) -> str:
    taken = service.notify(body=message["text"], title=message["title"])
    return "" if taken else f"{service.service_name or 'it'} refused it, or did not answer"


def _post(url: str, message: Message) -> str:
    shown = {name: value for name, value in message.items() if name not in ("title", "text")}
    try:
        httpx.post(url, json=shown, timeout=10).raise_for_status()
    except httpx.HTTPStatusError as error:
        return f"it answered {error.response.status_code} {error.response.reason_phrase}"
    except httpx.HTTPError as error:
        return str(error) or type(error).__name__
    except httpx.InvalidURL:
        # The address of a webhook is often its secret.
        return "it is no URL; write notify.webhook as https://host/path"
    return ""


def _in_time(send: Callable[[], str]) -> str:
    """What sending gives, or that it took too long; a thread that hangs does not keep the night from ending."""
    answer = [f"no answer within {_SECONDS:g} seconds"]

    def work() -> None:
        answer[0] = send()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(_SECONDS)
    return answer[0]
