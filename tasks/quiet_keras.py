"""Import Keras without the messages that TensorFlow writes about the machine."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from tempfile import TemporaryFile

from tasks.heavy_imports import heavy_import

# Otherwise TensorFlow and JAX take all memory of a GPU at once, and leave none to other processes.
_GROW = {"TF_FORCE_GPU_ALLOW_GROWTH": "true", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}


@contextmanager
def quiet_import() -> Iterator[None]:
    """Hold back what native code writes to standard error, and write it only if the import fails.

    TensorFlow writes before it reads any of its settings, so the file descriptor itself is redirected.
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
            with heavy_import("keras"):
                yield
            # The first operation looks for GPUs, and writes about it.
            sys.modules["keras"].ops.zeros(1)
        except BaseException:
            aside.seek(0)
            with suppress(OSError):
                os.write(kept, aside.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)


def backend_name() -> str:
    """The backend of Keras: tensorflow, jax or torch."""
    with quiet_import():
        import keras
    return str(keras.backend.backend())


def gpu_names() -> list[str]:
    """The names of the GPUs that Keras would use."""
    with quiet_import():
        import keras  # noqa: F401  (quiet_import runs its first operation)

        from models.training.devices import accelerators

    return accelerators()
