"""What one backend or number of devices has learnt, another forecasts the same with; each in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from models.settings.forecast import ForecastSettings
from models.settings.network import Layer, NetworkSettings
from models.settings.training import TrainingSettings
from models.training.fit import fit

ROOT = Path(__file__).parents[3]
FORECAST = ForecastSettings(frequency="D", horizon=10, quantile_levels=[0.1, 0.9])
# What is compiled with little care is compiled sooner.
SOONER = "--xla_backend_optimization_level=0"
# Two devices of one processor.
TWO_DEVICES = f"--xla_force_host_platform_device_count=2 {SOONER}"
PREDICT = """
import sys
from pathlib import Path
import keras, numpy as np
from keras_reference import keras_quantiles
from models.network.forecaster import Forecaster
from models.panel.panel import Panel

folder = Path(sys.argv[1])
assert keras.backend.backend() == sys.argv[2]
with np.load(folder / "panel.npz") as arrays:
    panel = Panel(**arrays, frequency="D", cutoff_index=1_000, season_lengths=(7,), horizon=10)
forecaster = Forecaster.load(folder)
np.save(folder / "quantiles.npy", keras_quantiles(forecaster.members[0], panel))
"""
TRAIN_ON_BOTH = """
import sys
from pathlib import Path
import jax, keras, numpy as np
from keras_reference import keras_quantiles
from models.training.fit import fit
from models.panel.panel import Panel
from models.settings.forecast import ForecastSettings
from models.settings.network import Layer, NetworkSettings
from models.settings.training import TrainingSettings

folder = Path(sys.argv[1])
with np.load(folder / "panel.npz") as arrays:
    panel = Panel(**arrays, frequency="D", cutoff_index=1_000, season_lengths=(7,), horizon=10)
quantiles = []
for devices in (1, 2):
    widest = []
    forecaster, report = fit(
        panel,
        ForecastSettings(frequency="D", horizon=10, quantile_levels=[0.1, 0.9]),
        NetworkSettings(layers=[Layer(units=8)]),
        TrainingSettings(max_steps=50, devices=devices),
        on_progress=lambda _: widest.append(max(len(array.sharding.device_set) for array in jax.live_arrays())),
    )
    assert widest == [devices, devices]
    assert keras.distribution.distribution() is None
    quantiles.append(keras_quantiles(forecaster.members[0], panel))
np.save(folder / "quantiles.npy", quantiles)
"""


@pytest.fixture
def run_on(tmp_path, weekly_panel):
    """Run a program on a backend; what it saved as quantiles."""
    np.savez(
        tmp_path / "panel.npz",
        values=weekly_panel.values,
        offsets=weekly_panel.offsets,
        series_ids=weekly_panel.series_ids,
    )

    def run(program: str, backend: str, **settings: str) -> np.ndarray:
        path = os.pathsep.join([str(ROOT), str(Path(__file__).parents[1])])
        surroundings = {**os.environ, "PYTHONPATH": path, "KERAS_BACKEND": backend, **settings}
        command = [sys.executable, "-c", program, str(tmp_path), backend]
        done = subprocess.run(command, env=surroundings, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stderr
        return np.load(tmp_path / "quantiles.npy")

    return run


def test_a_version_trained_on_one_backend_forecasts_the_same_on_the_other(
    run_on, weekly_panel, keras_quantiles, tmp_path
):
    layers = [Layer(cell=cell, units=8) for cell in ("lstm", "gru", "simple_rnn")]
    trained, _ = fit(weekly_panel, FORECAST, NetworkSettings(layers=layers), TrainingSettings(max_steps=25))
    trained.save(tmp_path)
    other = {"tensorflow": "jax", "jax": "tensorflow"}[keras.backend.backend()]
    here = keras_quantiles(trained.members[0], weekly_panel)
    np.testing.assert_allclose(run_on(PREDICT, other, XLA_FLAGS=SOONER), here, rtol=1e-4)
    trained.width = 1.0
    np.testing.assert_allclose(trained.predict(weekly_panel).quantiles, here, rtol=1e-4)


def test_two_devices_learn_the_same_as_one(run_on):
    one, two = run_on(TRAIN_ON_BOTH, "jax", XLA_FLAGS=TWO_DEVICES)
    np.testing.assert_allclose(one, two, rtol=1e-4)
