"""The devices that train, and Keras's own way to let several of them share every step."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import keras

from models.training.split import VALIDATION_BATCH


def accelerators() -> list[str]:
    """What Keras would compute with beside the cores, such as "gpu:0"."""
    # Asked for GPUs by name, JAX fails where there are none.
    return [str(name) for name in keras.distribution.list_devices() if not name.startswith("cpu")]


def training_devices(wanted: int | None, batch_size: int) -> list[str]:
    """The devices that share each training step.

    Args:
        wanted: How many, cores too if there is nothing else; None for as many accelerators as share batches equally.
        batch_size: Windows in one step.

    Returns:
        Their names, or nothing where one device, the backend's own choice, does it all.

    Raises:
        ValueError: where so many are not there, or cannot share a batch equally; on another backend than JAX, whose
            Keras cannot share.
    """
    able = keras.backend.backend() == "jax"
    equal = math.gcd(batch_size, VALIDATION_BATCH)
    if wanted is None:
        found = accelerators() if able else []
        wanted = max((count for count in range(1, len(found) + 1) if equal % count == 0), default=1)
    if wanted == 1:
        return []
    if not able:
        raise ValueError(
            f"training.devices is {wanted}, and Keras shares training on JAX alone, not on {keras.backend.backend()}. "
            "Set KERAS_BACKEND=jax, or leave training.devices out."
        )
    found = [str(name) for name in keras.distribution.list_devices()]
    if wanted > len(found):
        raise ValueError(f"training.devices is {wanted}, and there are {len(found)}: {found[:5]}. Lower it.")
    if equal % wanted:
        raise ValueError(
            f"training.devices is {wanted}, which does not divide training.batch_size {batch_size} and batches of "
            f"{VALIDATION_BATCH} in validation. Choose a power of two."
        )
    return found[:wanted]


@contextmanager
def shared(devices: list[str]) -> Iterator[None]:
    """Share the steps of what is made and trained in here; as it always is where no devices are named."""
    if not devices:
        yield
        return
    with keras.distribution.DataParallel(devices=devices).scope():
        yield
