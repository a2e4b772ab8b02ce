"""The recurrent network: windows in, quantiles of every step of the horizon out.

    values -> level and scale taken out -> segments (or tokens) -> recurrent stack -> head -> quantiles

The stack reads a window segment by segment and remembers; the head turns what it remembers
into the whole horizon at once, at all quantile levels, as a difference from a learnt mix of
the series' own seasonal lags. Everything here is in scaled units (level 0, scale 1).
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from models.windows import Tensor, WindowShape

CELLS = {"simple_rnn": keras.layers.SimpleRNN, "lstm": keras.layers.LSTM, "gru": keras.layers.GRU}

# Scaled values beyond this are compressed or cut: one absurd value must not drown a window.
INPUT_LIMIT = 8.0
TOKEN_LIMIT = 5.0
LAG_LIMIT = 50.0


@keras.saving.register_keras_serializable(package="nightcast")
class RecurrentForecaster(keras.Model):
    """Embedding or segments, a stack of recurrent layers, and a head for all steps and levels.

    Args:
        shape: The window's shape, or its fields as a mapping.
        quantile_levels: Ascending, with 0.5 among them.
        layers: Pairs (cell, units), first layer first.
        head: Hidden dense layers before one dense output, or None for the per-step head.
        head_units: Width of the per-step head.
        tokens: (vocabulary, dimension), or None to feed numbers.
        calendar: Whether calendar features enter.
        residual: Whether to forecast the difference from a mix of seasonal lags.
        series_rows: Rows of the series embedding, row 0 for unknown series.
        series_embedding: Its width, 0 for none.
        categories: Number of rows for each static column, row 0 for unknown categories.
        static_embedding: Width of each static column's embedding.
        dropout: Share of the recurrent state that the head does not see while training.
        unroll: Whether recurrent steps are laid out in the graph (faster on a CPU, no cuDNN).
    """

    def __init__(
        self,
        *,
        shape: WindowShape | dict[str, Any],
        quantile_levels: list[float],
        layers: list[tuple[str, int]],
        head: list[int] | None = None,
        head_units: int = 64,
        tokens: tuple[int, int] | None = None,
        calendar: bool = True,
        residual: bool = True,
        series_rows: int = 1,
        series_embedding: int = 0,
        categories: tuple[int, ...] = (),
        static_embedding: int = 0,
        dropout: float = 0.0,
        unroll: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.shape = shape if isinstance(shape, WindowShape) else WindowShape(**shape)
        self.quantile_levels = list(quantile_levels)
        self.middle = self.quantile_levels.index(0.5)
        self.use_calendar, self.residual = calendar, residual
        self.tokens = tokens
        levels, horizon = len(quantile_levels), self.shape.horizon
        self.token_embedding = keras.layers.Embedding(*tokens, name="token_embedding") if tokens else None
        self.series_embedding = (
            keras.layers.Embedding(series_rows, series_embedding, name="series_embedding") if series_embedding else None
        )
        self.static_embeddings = [
            keras.layers.Embedding(rows, static_embedding, name=f"static_embedding_{i}")
            for i, rows in enumerate(categories if static_embedding else ())
        ]
        # Older Keras names the last layer's sequence differently; every layer returns its sequence here, since
        # each recurrent step is an origin. The number of weights is the same either way.
        self.stack = [
            CELLS[cell](units, return_sequences=True, unroll=unroll, name=f"{cell}_{i}")
            for i, (cell, units) in enumerate(layers)
        ]
        self.drop = keras.layers.Dropout(dropout, name="dropout") if dropout else None
        if head is None:
            self.hidden = []
            self.state_to_steps = keras.layers.Dense(horizon * head_units, name="state_to_steps")
            self.step_inputs = keras.layers.Dense(head_units, use_bias=False, name="step_inputs")
            self.step_hidden = keras.layers.Dense(head_units, activation="gelu", name="step_hidden")
            self.step_output = keras.layers.Dense(levels, kernel_initializer="zeros", name="step_output")
            self.output_dense = None
        else:
            self.hidden = [
                keras.layers.Dense(units, activation="gelu", name=f"dense_{i}") for i, units in enumerate(head)
            ]
            self.output_dense = keras.layers.Dense(horizon * levels, name="output")
        self.head_units = head_units

    def build(self, input_shape: Any) -> None:
        if self.residual:
            lags = 2 * self.shape.lags.shape[1]
            # One weight per horizon step and lag; the last one stands for the level itself.
            self.lag_logits = self.add_weight(
                name="lag_logits", shape=(self.shape.horizon, lags + 1), initializer="zeros"
            )
        super().build(input_shape)

    def call(self, batch: dict[str, Tensor], training: bool | None = None) -> Tensor:
        """Scaled quantiles of shape (window, origin, horizon, level), ascending along the last axis."""
        origins = batch["target"].shape[1]
        level, scale = batch["level"][:, -origins:], batch["scale"][:, -origins:]
        state = self._encode(batch, training)[:, -origins:]
        lags, observed = self._scaled_lags(batch, level, scale)
        if self.drop is not None:
            state = self.drop(state, training=training)
        if self.output_dense is not None:
            for layer in self.hidden:
                state = layer(state)
            raw = ops.reshape(self.output_dense(state), (-1, origins, self.shape.horizon, len(self.quantile_levels)))
        else:
            raw = self._per_step_head(batch, state, lags, observed)
        base = self._lag_mix(lags, observed) if self.residual else 0.0
        return self._spread_quantiles(raw, base)

    def _encode(self, batch: dict[str, Tensor], training: bool | None) -> Tensor:
        """The recurrent state after each segment, shape (window, step, units)."""
        segments, observed = batch["segments"], batch["observed"]
        if self.tokens is not None and self.token_embedding is not None:
            # Tokens are read relative to the window's last level, so that a level change stays visible.
            z = (segments - batch["level"][:, -1:, None]) / batch["scale"][:, -1:, None]
            count = self.tokens[0] - 1
            token = ops.floor((ops.clip(z, -TOKEN_LIMIT, TOKEN_LIMIT) + TOKEN_LIMIT) / (2 * TOKEN_LIMIT) * (count - 1))
            token = ops.cast((token + 1.0) * observed, "int32")
            embedded = self.token_embedding(token)
            parts = [ops.reshape(embedded, (-1, self.shape.steps, self.shape.segment * self.tokens[1]))]
        else:
            level, scale = batch["level"], batch["scale"]
            z = (segments - level[..., None]) / scale[..., None] * observed
            # Beyond the limit values still count, by their logarithm.
            z = ops.sign(z) * ops.where(
                ops.abs(z) > INPUT_LIMIT, INPUT_LIMIT + ops.log1p(ops.relu(ops.abs(z) - INPUT_LIMIT)), ops.abs(z)
            )
            before = ops.concatenate([level[:, :1], level[:, :-1]], axis=1)
            scale_before = ops.concatenate([scale[:, :1], scale[:, :-1]], axis=1)
            moved = ops.stack(
                [
                    ops.clip((level - before) / scale, -INPUT_LIMIT, INPUT_LIMIT),
                    ops.log(scale / scale_before),
                    ops.arcsinh(level / scale),
                    ops.log1p(ops.mean(observed, axis=-1)),
                ],
                axis=-1,
            )
            parts = [z, observed, moved]
        if self.use_calendar:
            parts.append(batch["calendar"])
        if "past_covariates" in batch:
            parts.append(batch["past_covariates"])
        identity = self._identity(batch, training)
        if identity is not None:
            parts.append(ops.repeat(identity[:, None], self.shape.steps, axis=1))
        state = ops.concatenate(parts, axis=-1) if len(parts) > 1 else parts[0]
        for layer in self.stack:
            state = layer(state, training=training)
        return state

    def _identity(self, batch: dict[str, Tensor], training: bool | None) -> Tensor | None:
        """Embeddings of the series and of its static categories, shape (window, width)."""
        parts = [layer(batch["static"][:, i]) for i, layer in enumerate(self.static_embeddings)]
        if self.series_embedding is not None:
            parts.append(self.series_embedding(batch["row"]))
        return ops.concatenate(parts, axis=-1) if parts else None

    def _scaled_lags(self, batch: dict[str, Tensor], level: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
        """Seasonal lags as they were, and moved to today's level, each (window, origin, horizon, 2 * lag).

        A lag of two years ago measured from the level of two years ago shows the season without the trend.
        """
        observed = batch["lags_observed"]
        plain = (batch["lags"] - level[..., None, None]) / scale[..., None, None]
        moved = (batch["lags"] - batch["lag_level"][:, :, None]) / batch["lag_scale"][:, :, None]
        lags = ops.clip(ops.concatenate([plain, moved], axis=-1), -LAG_LIMIT, LAG_LIMIT)
        observed = ops.concatenate([observed, observed], axis=-1)
        return lags * observed, observed

    def _per_step_head(self, batch: dict[str, Tensor], state: Tensor, lags: Tensor, observed: Tensor) -> Tensor:
        """Shape (window, origin, horizon, level): the state, and what is known of each future step."""
        origins = state.shape[1]
        # Whether a lag was observed is the same for both ways of scaling it.
        known = [lags, observed[..., : observed.shape[-1] // 2]]
        if self.use_calendar:
            known.append(batch["future_calendar"])
        if "future_covariates" in batch:
            known.append(batch["future_covariates"])
        steps = ops.reshape(self.state_to_steps(state), (-1, origins, self.shape.horizon, self.head_units))
        hidden = ops.gelu(steps + self.step_inputs(ops.concatenate(known, axis=-1)))
        return self.step_output(hidden + self.step_hidden(hidden))

    def _lag_mix(self, lags: Tensor, observed: Tensor) -> Tensor:
        """The learnt mix of seasonal lags and level (which is 0 here), shape (window, origin, horizon)."""
        weight = ops.exp(self.lag_logits - ops.max(self.lag_logits, axis=-1, keepdims=True))
        seen = weight[:, :-1] * observed
        return ops.sum(seen * lags, axis=-1) / (ops.sum(seen, axis=-1) + weight[:, -1])

    def _spread_quantiles(self, raw: Tensor, base: Tensor) -> Tensor:
        """Quantiles that cannot cross: the median, and positive distances outward from it."""
        middle = raw[..., self.middle : self.middle + 1] + (base[..., None] if self.residual else 0.0)
        distance = ops.softplus(raw)
        below = ops.flip(ops.cumsum(ops.flip(distance[..., : self.middle], axis=-1), axis=-1), axis=-1)
        above = ops.cumsum(distance[..., self.middle + 1 :], axis=-1)
        return ops.concatenate([middle - below, middle, middle + above], axis=-1)


def pinball(target: Tensor, predicted: Tensor, quantile_levels: np.ndarray) -> Tensor:
    """Pinball loss averaged over levels: (..., horizon) and (..., horizon, level) to (..., horizon)."""
    error = target[..., None] - predicted
    return ops.mean(ops.maximum(quantile_levels * error, (quantile_levels - 1.0) * error), axis=-1)
