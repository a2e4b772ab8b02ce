"""The objective of training: the pinball loss of windows, from several origins in each."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from models.arrays import AnyArray
from models.network.features import Arrays
from models.network.windows import Tensor, gather
from models.training.keras_network import RecurrentForecaster, pinball
from models.training.split import Windows

# Share of windows whose series is hidden from the network, so that the row of unknown series learns too.
UNKNOWN_SHARE = 0.1
# Targets are cut this many scales away.
TARGET_LIMIT = 100.0
# No window counts more than a hundred times another.
WEIGHT_LIMITS = 0.1, 10.0


class Objective(keras.Model):
    """The loss of windows, which are given as numbers only; all arrays lie on the device already.

    While training, series end where their held-out steps begin, and the plan's number of recurrent steps are origins.
    Otherwise series end with their last value, and only the last step is an origin.

    Args:
        network: The network to train.
        arrays: See `features.flatten`.
        windows: Where the series end, with and without their held-out steps.
        seed: Of the choice of series that are hidden from the network.
    """

    def __init__(self, network: RecurrentForecaster, arrays: Arrays, windows: Windows, seed: int) -> None:
        super().__init__()
        self.network = network
        self.quantile_levels = np.array(network.plan.quantile_levels, np.float32)
        # As weights they are passed to the compiled function; JAX would compile plain arrays into it, each time anew.
        self.flat = {name: self._kept(name, array) for name, array in {**arrays, "end": windows.full_end}.items()}
        self.training_end = self._kept("training_end", windows.end)
        self.noise = keras.random.SeedGenerator(seed)

    def _kept(self, name: str, values: Any) -> keras.Variable:
        array: AnyArray = np.asarray(values)
        kept = self.add_weight(
            name=name, shape=array.shape, dtype=str(array.dtype), initializer="zeros", trainable=False
        )
        kept.assign(array)
        return kept

    def call(self, index: Tensor, training: bool | None = None) -> Tensor:
        """Mean loss of each window: shape (window, 2), of (series, origin), to (window,)."""
        origins = self.network.plan.origins if training else 1
        kept = {**self.flat, "end": self.training_end} if training else self.flat
        flat = {name: ops.convert_to_tensor(variable) for name, variable in kept.items()}
        batch = gather(flat, index[:, 0], index[:, 1], self.network.window, origins=origins, ops=ops)
        if training:
            hidden = keras.random.uniform(ops.shape(batch["row"]), seed=self.noise) < UNKNOWN_SHARE
            batch["row"] = ops.where(hidden, 0, batch["row"])
        predicted = self.network(batch, training=training)
        level, scale = batch["level"][:, -origins:, None], batch["scale"][:, -origins:, None]
        target = ops.clip((batch["target"] - level) / scale, -TARGET_LIMIT, TARGET_LIMIT)
        # An origin whose own segment holds no value is not forecast from.
        has_value = ops.cast(ops.max(batch["observed"][:, -origins:], axis=-1) > 0, "float32")[..., None]
        counted = batch["target_observed"] * has_value
        weight = ops.clip(scale * batch["weight"][:, None, None], *WEIGHT_LIMITS)
        loss = pinball(target, predicted, self.quantile_levels) * counted * weight
        return ops.sum(loss, axis=(1, 2)) / (ops.sum(counted, axis=(1, 2)) + 1e-6)
