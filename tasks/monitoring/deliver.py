"""Send one message to one target: to the job's webhook as JSON, or through Apprise as text.

A target that fails is tried three times in all. No target delays the night for long.
"""

from __future__ import annotations

import logging
import os
import re
import threading
import time
import warnings
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urljoin, urlsplit

from sql.secrets.places import remember_target, remember_variable
from tasks.printing.safe import quoted_answer, without_secrets
from tasks.step import logger

if TYPE_CHECKING:
    import httpx

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
    remember_target(filled)
    return filled


def _apprise(url: str, name: str) -> Any:
    with warnings.catch_warnings():
        # Apprise imports modules of Python that are deprecated.
        warnings.simplefilter("ignore", DeprecationWarning)
        # The import takes a quarter of a second, so only jobs with such targets pay for it.
        import apprise

        found = apprise.Apprise.instantiate(url, suppress_exceptions=True)
    if found is not None:
        # The receiver of a redirect would get the message, and may be anybody.
        found.redirects = False
        return found
    raise NotifyError(
        f"The environment variable {name} of notify.targets holds no URL that Apprise knows. "
        "Write it as Apprise documents it, such as mailtos://user:password@example.org or slack://token."
    )


def _send_by_apprise(service: Any, message: Message) -> str:
    import apprise

    # It has no types.
    capture: Any = apprise.LogCapture
    with capture(level=logging.WARNING, fmt="%(message)s") as log:
        accepted = service.notify(body=message["text"], title=message["title"])
        said = log.getvalue()
    if accepted:
        return ""
    reason = f": {quoted_answer(said)}" if said.strip() else ""
    return f"{quoted_answer(service.service_name or 'it')} refused it, or did not answer{reason}"


def _post(url: str, message: Message) -> str:
    # Only jobs that have a webhook pay for the import.
    import httpx

    document = {name: value for name, value in message.items() if name not in ("title", "text")}
    # The header that receivers of webhooks agree on.
    headers = {"Idempotency-Key": str(message["message_id"])}
    try:
        # The answer is not read: it may be endless.
        with httpx.stream("POST", url, json=without_secrets(document), headers=headers, timeout=10) as response:
            if response.is_success:
                return ""
            said = f"it answered {response.status_code} {quoted_answer(response.reason_phrase)}".rstrip()
            return f"{said}{_pointed_to(response)}"
    except httpx.HTTPError as error:
        return quoted_answer(error) or type(error).__name__
    except httpx.InvalidURL:
        # The address of a webhook often is a secret, so the message must not contain it.
        return "it is no URL; write notify.webhook as https://host/path"


def _pointed_to(response: httpx.Response) -> str:
    """Where a redirect points, without the path, which may be a secret. It is not followed: anybody may be there."""
    if not response.has_redirect_location:
        return ""
    host = urlsplit(urljoin(str(response.url), response.headers["Location"])).hostname or "nowhere"
    return f" and points to {quoted_answer(host)}, which is not followed; name the address itself"


def _in_time(send: Callable[[], str]) -> str:
    """The result of sending, or that it took too long. A thread that hangs does not keep the process from ending."""
    answer = [f"no answer within {_SECONDS:g} seconds"]

    def work() -> None:
        answer[0] = send()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(_SECONDS)
    return answer[0]
