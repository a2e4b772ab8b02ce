"""Files that hold data are for their owner and group alone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

_NOT_FOR_OTHERS = 0o027


@contextmanager
def private_files() -> Iterator[None]:
    """A block in which this process, and those that it starts, make files with 0640 and folders with 0750, or stricter.

    It concerns databases, logs of SQLite, locks and temporary files too, whichever library makes them. A stricter umask
    of the user holds, and files that exist keep their rights.
    """
    # The umask cannot be read without being set.
    before = os.umask(_NOT_FOR_OTHERS)
    os.umask(before | _NOT_FOR_OTHERS)
    try:
        yield
    finally:
        os.umask(before)
