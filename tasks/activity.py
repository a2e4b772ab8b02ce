"""Say what is going on, and for how long: on a terminal a line that moves and leaves nothing behind, else a log line.

Nothing is said inside of a Prefect flow, whose page shows the steps.
"""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from tasks.step import inside_flow, logger

SECONDS_BEFORE_FIRST, SECONDS_BETWEEN = 0.5, 0.2
# Seconds after which a log gets a line about what still goes on; then one a minute.
LOGGED_AFTER = (2.5, 10.0, 30.0)
_FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_ERASE = "\r\x1b[K"
_MINUTE = 60.0


class _Line:
    """The line of this process, and the thread that moves it."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.texts: list[tuple[str, float]] = []
        self.is_off, self.is_drawn = False, False
        self.hidden, self.frame, self.logged, self.quiet_until = 0, 0, 0, 0.0
        self.thread: threading.Thread | None = None
        self.over = threading.Event()
        self.terminal: TextIO | None = None

    def begin(self, text: str) -> None:
        with self.lock:
            self.texts.append((text, time.monotonic()))
            self.logged = 0
            if self.thread is None:
                self.terminal = self.terminal or _terminal()
                self.over = threading.Event()
                self.thread = threading.Thread(target=self._move, args=(self.over,), name="activity", daemon=True)
                self.thread.start()

    def end(self) -> None:
        with self.lock:
            self.texts.pop()
            # What is around it began long ago: it is told of again where nothing else is for a minute.
            self.logged, self.quiet_until = len(LOGGED_AFTER), time.monotonic() + _MINUTE
            self.erase()
            thread = None if self.texts else self.thread
            if thread is not None:
                self.thread = None
                self.over.set()
        if thread is not None:
            # No thread stays when there is nothing to say.
            thread.join()

    def erase(self) -> None:
        """Leave the line empty for whatever is written next."""
        with self.lock:
            if self.is_drawn:
                self._write(_ERASE)
                self.is_drawn = False

    def _move(self, over: threading.Event) -> None:
        while not over.wait(SECONDS_BETWEEN):
            with self.lock:
                if self.texts and not self.hidden:
                    self._show()

    def _show(self) -> None:
        text, began = self.texts[-1]
        seconds = time.monotonic() - began
        if self.terminal is None:
            late = self.logged - len(LOGGED_AFTER)
            is_due = time.monotonic() >= self.quiet_until if late >= 0 else seconds >= LOGGED_AFTER[self.logged]
            if is_due:
                self.quiet_until = time.monotonic() + _MINUTE
                self.logged += 1
                logger().info("%s: %.0f s so far", text, seconds)
        elif time.monotonic() - self.texts[0][1] >= SECONDS_BEFORE_FIRST:
            self.frame = (self.frame + 1) % len(_FRAMES)
            shown = f"{_FRAMES[self.frame]} {text}, {seconds:.0f} s"
            self._write(f"{_ERASE}{shown[: shutil.get_terminal_size().columns - 1]}")
            self.is_drawn = True

    def _write(self, text: str) -> None:
        try:
            if self.terminal is not None:
                self.terminal.write(text)
                self.terminal.flush()
        except (OSError, ValueError):
            # The terminal went away: the work matters more.
            self.is_off = True
            self.hidden += 1


def _terminal() -> TextIO | None:
    """Standard error if it is a terminal, on a descriptor of its own: an import of TensorFlow silences the other."""
    if not sys.stderr.isatty():
        return None
    try:
        return open(os.dup(sys.stderr.fileno()), "w", encoding=sys.stderr.encoding, errors="replace")
    except (OSError, ValueError):
        return sys.stderr


_LINE = _Line()


@contextmanager
def activity(text: str) -> Iterator[None]:
    """Say that this goes on until the end of the block; within another block, instead of that one's text."""
    if _LINE.is_off or inside_flow():
        yield
        return
    _LINE.begin(text)
    try:
        yield
    finally:
        _LINE.end()


@contextmanager
def line_hidden() -> Iterator[None]:
    """Write to the terminal in this block: the line is not in the way, and does not move."""
    with _LINE.lock:
        _LINE.erase()
        _LINE.hidden += 1
    try:
        yield
    finally:
        with _LINE.lock:
            _LINE.hidden -= 1


def switch_off() -> None:
    """Say nothing in this process: another one speaks for it."""
    _LINE.is_off = True


class TimeLeft:
    """How long the rest of some parts will take, such as the nights of a backfill, from those that are done.

    The first part often trains, and takes longer than any other: it counts only where all do.

    >>> left = TimeLeft(5, clock=iter([0.0, 60.0, 70.0, 80.0]).__next__)
    >>> left.next(), left.next(), left.next()
    ('1 of 5', '2 of 5, about 30 s left', '3 of 5, about 20 s left')
    """

    def __init__(self, parts: int, are_equal: bool = False, clock: Callable[[], float] = time.monotonic) -> None:
        self._parts, self._clock = parts, clock
        self._ends, self._first = [clock()], 0 if are_equal else 1

    def next(self) -> str:
        """One more part is done: how many are, and how long the rest will take, for people."""
        self._ends.append(self._clock())
        done = len(self._ends) - 1
        counted = f"{done} of {self._parts}"
        if done <= self._first or done >= self._parts:
            return counted
        each = (self._ends[-1] - self._ends[self._first]) / (done - self._first)
        return f"{counted}, about {in_words(each * (self._parts - done))} left"


def in_words(seconds: float) -> str:
    """A duration for people.

    >>> in_words(42.3), in_words(130), in_words(7_900)
    ('42 s', '2 min', '2 h 12 min')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
