"""How to import Keras without the pages that TensorFlow writes about the machine."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryFile

# TensorFlow and JAX otherwise take a GPU's whole memory at once, and another process on it finds none.
_GROW = {"TF_FORCE_GPU_ALLOW_GROWTH": "true", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}


@contextmanager
def quiet_import() -> Iterator[None]:
    """Hold back what native code writes to standard error; shown after all where the import fails.

    TensorFlow logs before any setting of its own is read, so the file descriptor itself is turned aside.
    """
    if "keras" in sys.modules:
        yield
        return
    for name, value in _GROW.items():
        os.environ.setdefault(name, value)
    sys.stderr.flush()
    kept = os.dup(2)
    with TemporaryFile() as aside:
        os.dup2(aside.fileno(), 2)
        try:
            yield
            # The first operation looks for GPUs, and says so too.
            sys.modules["keras"].ops.zeros(1)
        except BaseException:
            aside.seek(0)
            os.write(kept, aside.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)


def backend_name() -> str:
    """What Keras computes with: tensorflow, jax or torch."""
    with quiet_import():
        import keras
    return str(keras.backend.backend())


def gpu_names() -> list[str]:
    """The GPUs that Keras would use."""
    with quiet_import():
        import keras  # noqa: F401  (the first operation wants it)

        from models.training.devices import accelerators

    return accelerators()
