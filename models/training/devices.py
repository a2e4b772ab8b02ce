"""The devices that train, and Keras's own way to share each training step between several of them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import keras

from models.training.split import VALIDATION_BATCH


def accelerators() -> list[str]:
    """The devices that Keras can use besides the CPU, such as "gpu:0"."""
    # JAX raises an error where it is asked for GPUs and there is none.
    return [str(name) for name in keras.distribution.list_devices() if not name.startswith("cpu")]


def training_devices(wanted: int | None, batch_size: int) -> list[str]:
    """The devices that share each training step.

    Args:
        wanted: How many, CPUs included; None for as many accelerators as can share a batch equally.
        batch_size: Windows in one training step.

    Returns:
        Their names; an empty list where one device, of the backend's own choice, does everything.

    Raises:
        ValueError: where there are not so many devices, where they cannot share a batch equally, or where the backend
            is not JAX: on the others Keras cannot share.
    """
    can_share = keras.backend.backend() == "jax"
    equal = math.gcd(batch_size, VALIDATION_BATCH)
    if wanted is None:
        found = accelerators() if can_share else []
        wanted = max((count for count in range(1, len(found) + 1) if equal % count == 0), default=1)
    if wanted == 1:
        return []
    if not can_share:
        raise ValueError(
            f"training.devices is {wanted}, but Keras shares training on JAX only, not on {keras.backend.backend()}. "
            "Set KERAS_BACKEND=jax, or leave training.devices out."
        )
    found = [str(name) for name in keras.distribution.list_devices()]
    if wanted > len(found):
        raise ValueError(f"training.devices is {wanted}, but there are {len(found)} devices: {found[:5]}. Lower it.")
    if equal % wanted:
        raise ValueError(
            f"training.devices is {wanted}; it must divide both training.batch_size {batch_size} and the validation's "
            f"batch size {VALIDATION_BATCH}. Choose a power of two."
        )
    return found[:wanted]


@contextmanager
def shared(devices: list[str]) -> Iterator[None]:
    """Share the training steps of networks that are made and trained in this context; not without devices."""
    if not devices:
        yield
        return
    with keras.distribution.DataParallel(devices=devices).scope():
        yield
