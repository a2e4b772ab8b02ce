"""Import thousands of modules at once without the garbage collector, which would look through all of them many times.

What modules make while they are imported is kept for good anyway. A sixth of the processor time of a night that loads
its network went into these searches, and a quarter of that of importing Keras.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def heavy_import(module: str) -> Iterator[None]:
    """Hold back the garbage collector while a module is imported that imports many others.

    What was made until then is never searched again, so nothing happens where the module is there already: a process
    that calls this over and over must not keep its garbage.

    Args:
        module: Full name of the module.
    """
    if module in sys.modules or not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
