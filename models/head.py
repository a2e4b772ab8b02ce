"""From what the recurrent stack remembers to quantiles of every step of the horizon, in scaled units.

`LagMix` says where the median starts, from the series' own seasonal lags; `StepHead` gives one number per
step and level, from the state and what is known of the step; `spread_quantiles` makes of these numbers
quantiles that cannot cross.
"""

from __future__ import annotations

from statistics import NormalDist
from typing import Any

import keras
import numpy as np
from keras import ops

from models.windows import Tensor, WindowShape

LAG_LIMIT = 50.0


def lag_columns(shape: WindowShape) -> int:
    """Columns that `scaled_lags` gives."""
    return 2 * int(shape.lags.shape[1]) + len(shape.seasons)


def scaled_lags(batch: dict[str, Tensor], shape: WindowShape, origins: int) -> tuple[Tensor, Tensor]:
    """The seasonal naives of each step, relative to the origin's level and in its scale.

    Three kinds side by side: each lag as it was; each lag relative to the level and scale of its own cycle, which
    shows the season without the trend; and the newest lag moved by how far the series is from a season ago.

    Returns:
        Values, 0 where not observed, and whether they were observed; (window, origin, horizon, column) each.
    """
    level, scale = (batch[name][:, -origins:, None, None] for name in ("level", "scale"))
    observed = batch["lags_observed"]
    plain = (batch["lags"] - level) / scale
    detrended = (batch["lags"] - batch["lag_level"][:, :, None]) / batch["lag_scale"][:, :, None]
    moved = _columns(plain, shape.newest) + batch["change"][:, -origins:, None]
    lags = ops.clip(ops.concatenate([plain, detrended, moved], axis=-1), -LAG_LIMIT, LAG_LIMIT)
    seen = ops.concatenate([observed, observed, _columns(observed, shape.newest)], axis=-1)
    return lags * seen, seen


def _columns(values: Tensor, which: list[int]) -> Tensor:
    return ops.stack([values[..., place] for place in which], axis=-1)


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
        # The last weight of each step stands for the level, which is 0 in scaled units.
        self.logits = self.add_weight(name="logits", shape=(self.horizon, self.columns + 1), initializer="zeros")
        if self.shift is not None:
            self.shift.build(state_shape)
        super().build(state_shape)

    def compute_output_shape(self, state_shape: Any) -> tuple[int | None, ...]:
        return (*state_shape[:2], self.horizon)

    def call(self, state: Tensor, lags: Tensor, observed: Tensor) -> Tensor:
        """(window, origin, unit) and twice (window, origin, horizon, column) to (window, origin, horizon)."""
        logits = self.logits if self.shift is None else self.logits + self.shift(state)[:, :, None]
        weight = ops.exp(logits - ops.max(logits, axis=-1, keepdims=True))
        seen = weight[..., :-1] * observed
        return ops.sum(seen * lags, axis=-1) / (ops.sum(seen, axis=-1) + weight[..., -1])


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
        steps = ops.reshape(self.from_state(state), (-1, state.shape[1], self.horizon, self.units))
        hidden = ops.relu(steps + self.from_step(known))
        return self.output_levels(hidden + self.hidden(hidden))


def spread_quantiles(raw: Tensor, quantile_levels: list[float]) -> Tensor:
    """Quantiles that cannot cross: the median, and positive distances outward from it.

    Where `raw` is 0 they are those of the standard normal distribution, so that an untrained network errs like one
    whose errors are as large as its unit says.

    Args:
        raw: Shape (..., level), unbounded.
        quantile_levels: Ascending, with 0.5.

    Returns:
        Shape (..., level), ascending.
    """
    middle = quantile_levels.index(0.5)
    normal = np.array([NormalDist().inv_cdf(level) for level in quantile_levels])
    gaps = np.concatenate([np.diff(normal)[:middle], [1.0], np.diff(normal)[middle:]])
    # The inverse of softplus. The median's own entry is not used: its row below is empty.
    at_zero = np.log(np.expm1(gaps)).astype(np.float32)
    outward = np.zeros((len(gaps), len(gaps)), np.float32)
    for place in range(len(gaps)):
        if place < middle:
            outward[place, : place + 1] = -1
        elif place > middle:
            outward[place, place:] = 1
    # One matrix product adds up the distances on both sides.
    return raw[..., middle : middle + 1] + ops.matmul(ops.softplus(raw + at_zero), outward)
