from __future__ import annotations

import keras
import numpy as np
import pytest

from models.training.devices import accelerators, shared, training_devices
from models.training.split import Origins, Windows


@pytest.fixture
def machine(monkeypatch):
    """A backend, and devices that Keras says are there."""

    def of(backend: str, *devices: str) -> None:
        monkeypatch.setattr(keras.backend, "backend", lambda: backend)
        monkeypatch.setattr(keras.distribution, "list_devices", lambda kind=None: list(devices))

    return of


def test_the_cores_are_no_accelerator_and_their_absence_no_error():
    assert all(not name.startswith("cpu") for name in accelerators())


@pytest.mark.parametrize(("there", "batch", "count"), [(2, 64, 2), (4, 64, 4), (3, 64, 2), (4, 50, 2), (4, 15, 0)])
def test_as_many_gpus_share_the_steps_as_share_a_batch_equally(machine, there, batch, count):
    machine("jax", *(f"gpu:{i}" for i in range(there)))
    assert training_devices(None, batch) == [f"gpu:{i}" for i in range(count)]


def test_one_device_shares_nothing(machine):
    machine("jax", "gpu:0", "gpu:1")
    assert training_devices(1, 64) == []
    machine("jax", "cpu:0", "cpu:1")
    assert training_devices(None, 64) == []
    machine("tensorflow", "gpu:0", "gpu:1")
    assert training_devices(None, 64) == []


def test_devices_that_are_not_there_or_cannot_share_are_named(machine):
    machine("jax", "gpu:0", "gpu:1", "gpu:2")
    with pytest.raises(ValueError, match=r"devices is 4, but there are 3 devices: \['gpu:0', "):
        training_devices(4, 64)
    with pytest.raises(ValueError, match="devices is 3; it must divide"):
        training_devices(3, 64)
    machine("tensorflow", "gpu:0", "gpu:1")
    with pytest.raises(ValueError, match="KERAS_BACKEND=jax"):
        training_devices(2, 64)


def test_without_devices_to_share_nothing_is_distributed():
    with shared([]):
        assert keras.distribution.distribution() is None


@pytest.mark.parametrize(("windows", "filled"), [(0, 0), (4, 4), (5, 6)])
def test_validation_windows_are_filled_up_until_devices_can_share_them(windows, filled):
    pairs = np.arange(2 * windows, dtype=np.int32).reshape(windows, 2)
    none = Origins(np.zeros(0, np.int64), np.zeros(0, np.int64), 0.0)
    end = np.zeros(0, np.int32)
    shown = Windows(none, none, pairs, end, end).in_equal_parts(2).validation
    assert shown.shape == (filled, 2)
    assert shown.dtype == np.int32
    np.testing.assert_array_equal(shown[:windows], pairs)
    np.testing.assert_array_equal(shown[windows:], pairs[: filled - windows])
