"""What training makes small: the pinball loss of windows, from every origin in them."""

from __future__ import annotations

import keras
import numpy as np
from keras import ops

from models.arrays import AnyArray
from models.network.features import Arrays
from models.network.plan import Plan
from models.network.windows import Tensor, WindowShape, gather
from models.training.keras_network import RecurrentForecaster, pinball
from models.training.split import Windows

# Share of windows whose series is hidden from the network, so that the row of unknown series learns too.
UNKNOWN_SHARE = 0.1
# Targets this many scales away are cut, and no window counts more than a hundred times another.
TARGET_LIMIT = 100.0
WEIGHT_LIMITS = 0.1, 10.0


class Objective(keras.Model):
    """The loss of windows, from their numbers alone; everything else lies on the device already.

    While training, series end where their held-out steps begin, and the plan's number of recurrent steps are origins;
    otherwise they end with their last value, and only the last step is one.
    """

    def __init__(
        self, network: RecurrentForecaster, arrays: Arrays, windows: Windows, shape: WindowShape, plan: Plan, seed: int
    ) -> None:
        super().__init__()
        self.network = network
        self.window = shape
        self.origins = plan.origins
        self.levels = np.array(plan.quantile_levels, np.float32)
        # As weights they are given to what is compiled; JAX would compile plain arrays into it, each time anew.
        self.flat = {name: self._kept(name, array) for name, array in {**arrays, "end": windows.full_end}.items()}
        self.training_end = self._kept("training_end", windows.end)
        self.noise = keras.random.SeedGenerator(seed)

    def _kept(self, name: str, array: AnyArray) -> keras.Variable:
        array = np.asarray(array)
        kept = self.add_weight(
            name=name, shape=array.shape, dtype=str(array.dtype), initializer="zeros", trainable=False
        )
        kept.assign(array)
        return kept

    def call(self, index: Tensor, training: bool | None = None) -> Tensor:
        """Mean loss of each window, shape (window,)."""
        origins = self.origins if training else 1
        kept = {**self.flat, "end": self.training_end} if training else self.flat
        flat = {name: ops.convert_to_tensor(variable) for name, variable in kept.items()}
        batch = gather(flat, index[:, 0], index[:, 1], self.window, origins=origins, ops=ops)
        if training:
            hidden = keras.random.uniform(ops.shape(batch["row"]), seed=self.noise) < UNKNOWN_SHARE
            batch["row"] = ops.where(hidden, 0, batch["row"])
        predicted = self.network(batch, training=training)
        level, scale = batch["level"][:, -origins:, None], batch["scale"][:, -origins:, None]
        target = ops.clip((batch["target"] - level) / scale, -TARGET_LIMIT, TARGET_LIMIT)
        # An origin whose own segment is empty has nothing to go by, and is not asked.
        asked = ops.cast(ops.max(batch["observed"][:, -origins:], axis=-1) > 0, "float32")[..., None]
        counted = batch["target_observed"] * asked
        weight = ops.clip(scale * batch["weight"][:, None, None], *WEIGHT_LIMITS)
        loss = pinball(target, predicted, self.levels) * counted * weight
        return ops.sum(loss, axis=(1, 2)) / (ops.sum(counted, axis=(1, 2)) + 1e-6)
