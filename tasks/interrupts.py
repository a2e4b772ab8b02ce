"""Ctrl-C and SIGTERM, held back for the moment in which two places must change together."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class InterruptsHeldBack:
    """Holds back the first signal that would end the process, from `begin` to `end`; a second one goes through at once.

    Only the main thread gets signals, so anywhere else this does nothing.

    Attributes:
        is_broken: Whether a second signal came.
    """

    def __init__(self) -> None:
        self._handlers: dict[int, Any] = {}
        self._first: int | None = None
        self.is_broken = False

    def begin(self) -> None:
        """Hold back from now on."""
        if threading.current_thread() is not threading.main_thread():
            return
        for number in _SIGNALS:
            handler = signal.getsignal(number)
            # A signal that is ignored stays ignored, and a handler that was not set in Python cannot be restored.
            if handler not in (signal.SIG_IGN, None) and number not in self._handlers:
                self._handlers[number] = handler
                signal.signal(number, self._hold)

    def end(self) -> None:
        """Hold back no longer. A signal that came meanwhile arrives now."""
        self._restore()
        first, self._first = self._first, None
        if first is not None:
            signal.raise_signal(first)

    def _hold(self, number: int, frame: FrameType | None) -> None:
        if self._first is None:
            self._first = number
            return
        self._first, self.is_broken = None, True
        self._restore()
        signal.raise_signal(number)

    def _restore(self) -> None:
        while self._handlers:
            signal.signal(*self._handlers.popitem())
