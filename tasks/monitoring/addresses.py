"""Look whether the webhook of a job can be reached at all, without sending anything."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooLate

import httpx

from tasks.monitoring.deliver import fill_in_environment
from tasks.settings import Notify

_SECONDS = 5.0


def problem_of_webhook(settings: Notify) -> tuple[str, str]:
    """What makes the webhook impossible, and what makes it doubtful from this machine; "" for nothing.

    No message holds the address, which often is a secret.

    Raises:
        NotifyError: a variable of the environment is not set.
    """
    if not settings.webhook:
        return "", ""
    try:
        url = httpx.URL(fill_in_environment(settings.webhook))
    except (httpx.InvalidURL, ValueError):
        return "notify.webhook is no URL. Write it as https://host/path.", ""
    if url.scheme not in ("http", "https"):
        return f"notify.webhook begins with {url.scheme[:20]!r}. Write it as https://host/path.", ""
    if not url.host:
        return "notify.webhook names no host. Write it as https://host/path.", ""
    return "", "" if _resolves(url.host) else "no address is known here for the host of notify.webhook"


def _resolves(host: str) -> bool:
    pool = ThreadPoolExecutor(1, "look up")
    try:
        pool.submit(socket.getaddrinfo, host, None).result(_SECONDS)
    except (OSError, UnicodeError, TooLate):
        return False
    finally:
        # A name server that does not answer must not hold the process.
        pool.shutdown(wait=False, cancel_futures=True)
    return True
