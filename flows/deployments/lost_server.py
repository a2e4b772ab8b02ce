"""A Prefect server that went away in the middle of a night: the process must not wait minutes for it at its end.

When a process ends, Prefect sends its last events and log lines, and retries each of them many times if the server is
away. By then the result of the night is in the product's own tables.
"""

from __future__ import annotations

import logging
import os
import sys
from typing import NoReturn

# Long enough for a server that is being restarted.
_PATIENCE_SECONDS = 10.0
_lost: list[str] = []


def note_lost(error: Exception) -> None:
    """Remember that the server did not answer."""
    _lost.append(str(error))


def leave_without_it(code: int) -> None:
    """End this process within seconds if the server was lost; else do nothing.

    Args:
        code: The exit code.
    """
    if _lost:
        _leave(code)


def _leave(code: int) -> NoReturn:
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker

    # Prefect would log an error for each event.
    logging.disable(logging.CRITICAL)
    for worker in (EventsWorker, APILogWorker):
        worker.drain_all(timeout=_PATIENCE_SECONDS / 2)
    sys.stdout.flush()
    sys.stderr.flush()
    # A normal exit would wait for the workers.
    os._exit(code)
