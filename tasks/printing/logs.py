"""Log lines without secrets: every logger of this process, those of Prefect, Dask and drivers among them."""

from __future__ import annotations

import logging
import sys
import traceback
from typing import Any

from sql.secrets.known import hide, remember
from sql.secrets.places import remember_environment, remember_url
from tasks.printing.safe import safe_text
from tasks.printing.visible import indented


def guard_logs() -> None:
    """Let all log lines from now on hold no secrets and no control characters; more calls change nothing.

    Further lines of a message are indented, so that none of them looks like a message of its own.
    """
    remember_environment()
    _remember_prefect()
    make = logging.getLogRecordFactory()
    if getattr(make, "is_guarded", False):
        return
    # SQLAlchemy tells of a connection that an interrupt has closed, with a traceback, where nobody listens to its log.
    logging.getLogger("sqlalchemy").addHandler(logging.NullHandler())

    def guarded(*args: Any, **kwargs: Any) -> logging.LogRecord:
        return _cleaned(make(*args, **kwargs))

    guarded.is_guarded = True  # type: ignore[attr-defined]
    logging.setLogRecordFactory(guarded)


def _remember_prefect() -> None:
    """Remember the keys of Prefect's server, which may stand in a profile rather than in the environment."""
    # Importing Prefect takes 2 s. If it has not been imported, nothing of it is read.
    if "prefect" not in sys.modules:
        return
    from prefect.settings import get_current_settings

    api = get_current_settings().api
    for each in (api.key, api.auth_string):
        if each is not None:
            remember(each.get_secret_value())
    if api.url and "@" in api.url:
        remember_url(api.url)


def _cleaned(record: logging.LogRecord) -> logging.LogRecord:
    """The record, changed only where it has to be: a handler may look at its arguments."""
    if isinstance(record.args, tuple) and record.args:
        args = tuple(_argument(each) for each in record.args)
        if any(new is not old for new, old in zip(args, record.args, strict=True)):
            record.args = args
    elif isinstance(record.args, dict):
        record.args = {name: _argument(each) for name, each in record.args.items()}
    try:
        message = record.getMessage()
    except Exception:
        # The handler reports a message that does not fit its arguments.
        return record
    if (safe := indented(safe_text(message))) != message:
        record.msg, record.args = safe, ()
    if record.exc_info and record.exc_info[0] is not None and not record.exc_text:
        record.exc_text = hide("".join(traceback.format_exception(*record.exc_info))).rstrip("\n")
        record.exc_text = safe_text(record.exc_text)
    if record.stack_info:
        record.stack_info = safe_text(record.stack_info)
    return record


def _argument(value: Any) -> Any:
    if isinstance(value, str):
        safe = safe_text(value)
        return value if safe == value else safe
    return safe_text(value) if isinstance(value, BaseException) else value
