"""The head's layers with weights, for Keras; what they compute is in `head`."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from models.network.head import mix_lags, read_steps
from models.network.windows import Tensor


@keras.saving.register_keras_serializable(package="nightcast")
class LagMix(keras.layers.Layer):
    """A learnt weighted mean of the seasonal naives and the level, whose weights the state may shift.

    An untrained one is the plain mean of all that was observed.

    Args:
        horizon: Steps ahead; each has weights of its own.
        columns: How many naives there are.
        by_state: Whether the recurrent state shifts the weights.
    """

    def __init__(self, horizon: int, columns: int, by_state: bool, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.horizon, self.columns = horizon, columns
        self.shift = (
            keras.layers.Dense(columns + 1, use_bias=False, kernel_initializer="zeros", name="shift")
            if by_state
            else None
        )

    def build(self, state_shape: Any) -> None:
        self.logits = self.add_weight(name="logits", shape=(self.horizon, self.columns + 1), initializer="zeros")
        if self.shift is not None:
            self.shift.build(state_shape)
        super().build(state_shape)

    def compute_output_shape(self, state_shape: Any) -> tuple[int | None, ...]:
        return (*state_shape[:2], self.horizon)

    def call(self, state: Tensor, lags: Tensor, observed: Tensor) -> Tensor:
        """(window, origin, unit) and twice (window, origin, horizon, column) to (window, origin, horizon)."""
        logits = self.logits if self.shift is None else self.logits + self.shift(state)[:, :, None]
        return mix_lags(logits, lags, observed, ops)


@keras.saving.register_keras_serializable(package="nightcast")
class StepHead(keras.layers.Layer):
    """One number per step of the horizon and level, from the state and what is known of each step.

    Args:
        horizon: Steps ahead.
        units: Width of what the state says of each step.
        levels: Number of quantile levels.
    """

    def __init__(self, horizon: int, units: int, levels: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.horizon, self.units, self.levels = horizon, units, levels
        self.from_state = keras.layers.Dense(horizon * units, name="from_state")
        self.from_step = keras.layers.Dense(units, use_bias=False, name="from_step")
        # ReLU: a smoother activation costs a third of a training step on a CPU and gains nothing.
        self.hidden = keras.layers.Dense(units, activation="relu", name="hidden")
        self.output_levels = keras.layers.Dense(levels, kernel_initializer="zeros", name="output")

    def build(self, state_shape: Any, known_shape: Any) -> None:
        self.from_state.build(state_shape)
        self.from_step.build(known_shape)
        self.hidden.build((*known_shape[:-1], self.units))
        self.output_levels.build((*known_shape[:-1], self.units))
        super().build(state_shape)

    def compute_output_shape(self, state_shape: Any, known_shape: Any) -> tuple[int | None, ...]:
        return (*state_shape[:2], self.horizon, self.levels)

    def call(self, state: Tensor, known: Tensor) -> Tensor:
        """(window, origin, unit) and (window, origin, horizon, feature) to (window, origin, horizon, level)."""
        return self.output_levels(read_steps(self.from_state(state), self.from_step(known), self.hidden, ops))
