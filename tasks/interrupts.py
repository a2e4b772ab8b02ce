"""Ctrl-C and SIGTERM: held back while two places must change together, and what the work then says that it left."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(KeyboardInterrupt):
    """Somebody ended the work: the message says in one line what was published and what was not.

    Attributes:
        document: The same for programs.
        cause: What interrupted the work, for people.
    """

    def __init__(self, message: str, document: dict[str, Any], cause: str) -> None:
        super().__init__(message, document, cause)
        self.document, self.cause = document, cause

    def __str__(self) -> str:
        return str(self.args[0])


def is_interrupt(error: BaseException) -> bool:
    """Whether an error is no failure of the work: Ctrl-C, SIGTERM, or Prefect's wish that a run ends."""
    return not isinstance(error, Exception)


def hidden_interrupt(error: BaseException) -> KeyboardInterrupt | None:
    """The interrupt that an error stands for: Python gives some errors in its place, such as in a class that begins.

    >>> class Named:
    ...     def __set_name__(self, owner, name):
    ...         raise KeyboardInterrupt
    >>> try:
    ...     type("Class", (), {"name": Named()})
    ... except Exception as error:
    ...     hidden_interrupt(error)
    KeyboardInterrupt()
    """
    seen: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in seen:
        if isinstance(cause, KeyboardInterrupt):
            return cause
        seen.append(cause)
        cause = cause.__cause__
    return None


def cause_of(error: BaseException) -> str:
    """What interrupted the work, for people.

    >>> cause_of(KeyboardInterrupt()), cause_of(KeyboardInterrupt("ended by SIGTERM"))
    ('Ctrl-C', 'SIGTERM')
    """
    if isinstance(error, Interrupted):
        return error.cause
    # Prefect's error for a run that must end has a signal and no message.
    number = getattr(error, "signal", None)
    if number:
        return signal.Signals(number).name
    told = str(error).partition("ended by ")[2]
    return told or ("Ctrl-C" if isinstance(error, KeyboardInterrupt) else type(error).__name__)


def let_through() -> None:
    """Let Ctrl-C interrupt what this process waits for from now on.

    The drivers of ADBC set their own handler while they work. Afterwards Python's handler is back, but the system goes
    on with a read or a wait that Ctrl-C has interrupted, so that Python learns of it only when that has ended.
    """
    signal.siginterrupt(signal.SIGINT, True)


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

    def drop(self) -> None:
        """Hold back no longer, and forget the signal that came: the work is ending already."""
        self._restore()
        self._first = None

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
