"""The end of the process of the command: once it has answered, an interrupt ends it with the answer's exit code."""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
from contextlib import suppress
from typing import Any

SIGNALS = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}
"""What interrupts the command, and its name for people."""
_SOON_SECONDS = 0.01


class ProcessEnd:
    """How this process ends, where it is the command's own; a call from a test or a program goes on.

    Attributes:
        is_ours: Whether the process ends with the command.
        code: Its exit code.
    """

    def __init__(self) -> None:
        self.is_ours, self.code = False, 1

    def own(self) -> None:
        """Let the process end with the command, before Python takes its modules apart and handles no signal."""
        self.is_ours = True
        # What is registered first is called last.
        atexit.register(self._leave)

    def answered(self, code: int) -> bool:
        """From now on an interrupt ends the process at once, if it is the command's own; says whether it is."""
        if self.is_ours:
            self.code = code
            handle_interrupts(lambda number, frame: os._exit(code))
        return self.is_ours

    def _leave(self) -> None:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError, AttributeError):
                stream.flush()
        os._exit(self.code)


process_end = ProcessEnd()


def interrupt_again(dropped: Any) -> None:
    """Interrupt again where Python has dropped an interrupt: no error leaves a finalizer, such as a cursor's.

    Not at once, which would be in here. It is for `sys.unraisablehook`.
    """
    if not issubclass(dropped.exc_type, KeyboardInterrupt):
        sys.__unraisablehook__(dropped)
        return
    number = signal.SIGTERM if SIGNALS[signal.SIGTERM] in str(dropped.exc_value) else signal.SIGINT
    again = threading.Timer(_SOON_SECONDS, signal.pthread_kill, [threading.main_thread().ident, number])
    again.daemon = True
    again.start()


def handle_interrupts(handler: Any) -> None:
    """Set a handler for what interrupts the command, unless whoever started it has it ignored, as `nohup` does."""
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, handler)
