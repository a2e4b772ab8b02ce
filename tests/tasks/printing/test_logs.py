"""Every logger of the process writes lines without secrets, and no text forges a line."""

from __future__ import annotations

import io
import logging

import pytest

from sql.secrets.known import remember
from tasks.printing.logs import guard_logs


@pytest.fixture
def log():
    """A logger of nobody in particular, and what it has written."""
    guard_logs()
    guard_logs()
    stream, logger = io.StringIO(), logging.getLogger("somebody.else")
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("12:00:00 %(message)s"))
    logger.addHandler(handler)
    logger.propagate = False
    yield logger, stream
    logger.removeHandler(handler)
    logger.propagate = True


def test_messages_arguments_and_tracebacks_hold_no_secret(log):
    logger, stream = log
    remember("p@ss/hunter2")
    logger.warning("password p@ss/hunter2")
    logger.warning("%s and %r", "p@ss/hunter2", ["p%40ss%2Fhunter2"])
    logger.warning("%s", ValueError("p@ss/hunter2"))
    logger.warning("%(url)s", {"url": "postgresql://me:p@ss/hunter2@host"})
    try:
        raise ValueError("p@ss/hunter2")
    except ValueError:
        logger.exception("failed")
    assert "hunter2" not in stream.getvalue()
    assert "ValueError: ***" in stream.getvalue()


def test_what_is_filled_into_a_message_begins_no_line_of_its_own(log):
    logger, stream = log
    logger.warning("series %s of %d", "a\n12:00:00 forged \x1b[2J\u202e", 3)
    logger.warning("%s", OSError("answer\n12:00:00 forged"))
    assert stream.getvalue().splitlines() == [
        "12:00:00 series a",
        r"  12:00:00 forged \x1b[2J\u202e of 3",
        "12:00:00 answer",
        "  12:00:00 forged",
    ]


def test_a_message_without_secrets_keeps_its_arguments(log):
    logger, stream = log
    logger.warning("%d rows of %s", 3, "shop")
    assert stream.getvalue() == "12:00:00 3 rows of shop\n"
    record = logging.getLogRecordFactory()("x", logging.INFO, "f", 1, "%s %d", ("shop", 3), None)
    assert record.args == ("shop", 3)
