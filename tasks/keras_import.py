"""When Keras is needed, and how to import it without the pages that TensorFlow writes about the machine."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from models.forecaster import QuantilesOf

# There where NVIDIA's driver has found a card; asking Keras would take seconds and half a gigabyte.
GPU_DRIVER = Path("/dev/nvidiactl")
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

        from models.devices import accelerators

    return accelerators()


def quantiles_of() -> QuantilesOf:
    """What computes forecasts here: Keras where there is a GPU, NumPy on every core elsewhere."""
    if not GPU_DRIVER.exists() or os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        from models.member import Member

        return Member.quantiles
    with quiet_import():
        from models.keras_member import keras_quantiles
    return keras_quantiles
