"""A Prefect server that went away in the middle of a night: the process does not wait minutes for it at its end.

Prefect sends its last events and log lines when a process ends, and asks a server that is away again and again for each
of them. What a night came to is in the product's own tables by then.
"""

from __future__ import annotations

import logging
import os
import sys
from typing import NoReturn

# A server that is only being restarted may be there again.
_PATIENCE_SECONDS = 10.0
_lost: list[str] = []


def note_lost(error: Exception) -> None:
    """Remember that the server did not answer."""
    _lost.append(str(error))


def leave_without_it(code: int) -> None:
    """End this process within seconds where the server was lost; else do nothing.

    Args:
        code: The exit code.
    """
    if _lost:
        _leave(code)


def _leave(code: int) -> NoReturn:
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker

    # It complains of each event.
    logging.disable(logging.CRITICAL)
    for worker in (EventsWorker, APILogWorker):
        worker.drain_all(timeout=_PATIENCE_SECONDS / 2)
    sys.stdout.flush()
    sys.stderr.flush()
    # Python's own end would wait for the workers.
    os._exit(code)
