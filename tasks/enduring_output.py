"""Standard output and standard error that never end the work: what cannot be printed is lost, and nothing else.

A terminal may not know a character, `| head -1` closes the pipe, a disk is full, and cron may close standard error.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from sql.secrets.known import hide

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class _Enduring(io.FileIO):
    """A file whose writes do not fail; `error` is the first that would have."""

    error: OSError | None = None

    def write(self, data: ReadableBuffer, /) -> int:
        """Write, or pretend to."""
        try:
            return super().write(data)
        except OSError as error:
            self.error = self.error or error
            return memoryview(data).nbytes


class _WithoutSecrets(io.TextIOWrapper):
    """A stream that prints no secret, whoever prints: also a traceback at the end of the process."""

    is_clean = False

    def write(self, text: str, /) -> int:
        """Print a text; gives its length."""
        super().write(text if self.is_clean else hide(text))
        return len(text)


def make_output_enduring() -> None:
    r"""Let whatever this process prints from now on never fail.

    A character that the encoding does not have is printed as its escape, such as `\u20ac`. Streams that somebody has
    replaced, such as a test, stay as they are. No secret that this process knows is printed either.
    """
    _open_closed_streams()
    sys.stdout = _enduring(sys.stdout, sys.__stdout__, 1)
    sys.stderr = _enduring(sys.stderr, sys.__stderr__, 2)


@contextmanager
def clean_output() -> Iterator[None]:
    """Print on standard output as it is what holds no secrets already: within JSON, a figure could look like one."""
    stream = sys.stdout
    if not isinstance(stream, _WithoutSecrets):
        yield
        return
    stream.is_clean = True
    try:
        yield
    finally:
        stream.is_clean = False


def take_output_error() -> OSError | None:
    """Why something was not printed on standard output since the last call; None if all was, or the reader closed it.

    >>> take_output_error() is None
    True
    """
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    if not isinstance(raw, _Enduring):
        return None
    error, raw.error = raw.error, None
    # Whoever closes a pipe has read enough.
    return None if error is None or error.errno == errno.EPIPE else error


def _open_closed_streams() -> None:
    # Otherwise the next file that is opened gets the number, and whatever native code prints goes into it.
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)


def _enduring(stream: TextIO | None, original: TextIO | None, number: int) -> TextIO | None:
    if stream is not original:
        return stream
    buffer = io.BufferedWriter(_Enduring(number, "w", closefd=False))
    # There is no stream where the caller has closed it.
    encoding = "utf-8" if stream is None else stream.encoding
    return _WithoutSecrets(buffer, encoding, "backslashreplace", line_buffering=number == 2 or os.isatty(number))
