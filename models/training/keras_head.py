"""The layers of the head that have weights, for Keras; their computation is in `network/head.py`."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from models.network.head import mix_lags, read_steps
from models.network.windows import Tensor


class LagMix(keras.layers.Layer):
    """A learnt weighted mean of simple forecasts and the level, whose weights the state may shift.

    Untrained, it weighs each of them by one over a power of its recent error.

    Args:
        horizon: Steps ahead; each has weights of its own.
        columns: Number of simple forecasts, without the level.
        by_state: Whether the recurrent state shifts the weights.
        power: The power of the error that training begins with.
        name: Of the layer.
    """

    def __init__(self, horizon: int, columns: int, by_state: bool, power: float, *, name: str) -> None:
        super().__init__(name=name)
        self.horizon, self.columns, self.error_power = horizon, columns, power
        self.shift = (
            keras.layers.Dense(columns + 1, use_bias=False, kernel_initializer="zeros", name="shift")
            if by_state
            else None
        )

    def build(self, state_shape: Any) -> None:
        self.logits = self.add_weight(name="logits", shape=(self.horizon, self.columns + 1), initializer="zeros")
        self.power = self.add_weight(
            name="power", shape=(self.columns + 1,), initializer=keras.initializers.Constant(self.error_power)
        )
        if self.shift is not None:
            self.shift.build(state_shape)
        super().build(state_shape)

    def compute_output_shape(self, state_shape: Any) -> tuple[int | None, ...]:
        return (*state_shape[:2], self.horizon)

    def call(self, state: Tensor, lags: Tensor, observed: Tensor, error: Tensor) -> Tensor:
        """(window, origin, unit) and twice (window, origin, horizon, column) to (window, origin, horizon)."""
        by_series = -self.power * error
        if self.shift is not None:
            by_series = by_series + self.shift(state)
        logits = self.logits + by_series[:, :, None]
        return mix_lags(logits, lags, observed, ops)


class StepHead(keras.layers.Layer):
    """One number per step of the horizon and quantile level, from the state and what is known of each step.

    Args:
        horizon: Steps ahead.
        units: Width of what is learnt of each step.
        quantiles: Number of quantile levels.
        name: Of the layer.
    """

    def __init__(self, horizon: int, units: int, quantiles: int, *, name: str) -> None:
        super().__init__(name=name)
        self.horizon, self.units, self.quantiles = horizon, units, quantiles
        self.from_state = keras.layers.Dense(horizon * units, name="from_state")
        self.from_step = keras.layers.Dense(units, use_bias=False, name="from_step")
        # ReLU: a smoother activation costs a third of a training step on a CPU and gains nothing.
        self.hidden = keras.layers.Dense(units, activation="relu", name="hidden")
        self.output_quantiles = keras.layers.Dense(quantiles, kernel_initializer="zeros", name="output")

    def build(self, state_shape: Any, known_shape: Any) -> None:
        self.from_state.build(state_shape)
        self.from_step.build(known_shape)
        self.hidden.build((*known_shape[:-1], self.units))
        self.output_quantiles.build((*known_shape[:-1], self.units))
        super().build(state_shape)

    def compute_output_shape(self, state_shape: Any, known_shape: Any) -> tuple[int | None, ...]:
        return (*state_shape[:2], self.horizon, self.quantiles)

    def call(self, state: Tensor, known: Tensor) -> Tensor:
        """(window, origin, unit) and (window, origin, horizon, feature) to (window, origin, horizon, level)."""
        return self.output_quantiles(read_steps(self.from_state(state), self.from_step(known), self.hidden, ops))
