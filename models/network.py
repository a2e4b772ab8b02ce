"""The recurrent network: windows in, quantiles of every step of the horizon out.

    values -> level and scale taken out -> segments (or tokens) -> recurrent stack -> head -> quantiles

The stack reads a window segment by segment and remembers; the head turns what it remembers
into the whole horizon at once, at all quantile levels, as a difference from a learnt mix of
the series' own seasonal lags, in units of what those err by. Everything here is in scaled units
(level 0, scale 1).
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from models.head import LagMix, StepHead, lag_columns, scaled_lags, spread_quantiles
from models.windows import Tensor, WindowShape

CELLS = {"simple_rnn": keras.layers.SimpleRNN, "lstm": keras.layers.LSTM, "gru": keras.layers.GRU}

# Scaled values beyond this are compressed or cut: one absurd value must not drown a window.
INPUT_LIMIT = 8.0
TOKEN_LIMIT = 5.0


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
        mix_by_state: Whether the state shifts the weights of that mix; never without the per-step head.
        error_units: Whether that difference counts in units of the series' seasonal error, or in scales.
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
        head_units: int = 32,
        tokens: tuple[int, int] | None = None,
        calendar: bool = True,
        residual: bool = True,
        mix_by_state: bool = True,
        error_units: bool = True,
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
        self.use_calendar, self.error_units = calendar, error_units
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
        # Every layer gives its whole sequence, the last one too, since each recurrent step may be an origin.
        self.stack = [
            CELLS[cell](units, return_sequences=True, unroll=unroll, name=f"{cell}_{i}")
            for i, (cell, units) in enumerate(layers)
        ]
        self.drop = keras.layers.Dropout(dropout, name="dropout") if dropout else None
        self.step_head, self.hidden, self.output_dense = None, [], None
        if head is None:
            self.step_head = StepHead(horizon, head_units, levels, name="step_head")
        else:
            self.hidden = [
                keras.layers.Dense(units, activation="gelu", name=f"dense_{i}") for i, units in enumerate(head)
            ]
            self.output_dense = keras.layers.Dense(horizon * levels, name="output")
        by_state = mix_by_state and head is None
        self.lag_mix = LagMix(horizon, lag_columns(self.shape), by_state, name="lag_mix") if residual else None

    def seed_dropout(self, seed: int) -> None:
        """Begin the sequence of what is dropped anew: it must not hang on what was made in the process before."""
        if self.drop is not None:
            state = self.drop.seed_generator.state
            state.assign(ops.convert_to_tensor([seed % 2**31, 0], dtype=state.dtype))

    def call(self, batch: dict[str, Tensor], training: bool | None = None) -> Tensor:
        """Scaled quantiles of shape (window, origin, horizon, level), ascending along the last axis."""
        origins = batch["target"].shape[1]
        state = self._encode(batch, training)[:, -origins:]
        lags, observed = scaled_lags(batch, self.shape, origins)
        if self.drop is not None:
            state = self.drop(state, training=training)
        quantiles = spread_quantiles(self._head(batch, state, lags, observed), self.quantile_levels)
        if self.error_units:
            # The season that foretells the series best says how far off a forecast is likely to be.
            quantiles = quantiles * ops.min(batch["error"][:, -origins:], axis=-1)[..., None, None]
        if self.lag_mix is not None:
            quantiles = quantiles + self.lag_mix(state, lags, observed)[..., None]
        return quantiles

    def _encode(self, batch: dict[str, Tensor], training: bool | None) -> Tensor:
        """The recurrent state after each segment, shape (window, step, units)."""
        parts = [self._tokens(batch)] if self.tokens is not None else self._numbers(batch)
        if self.use_calendar:
            parts.append(batch["calendar"])
        if "past_covariates" in batch:
            parts.append(batch["past_covariates"])
        identity = self._identity(batch)
        if identity is not None:
            parts.append(ops.repeat(identity[:, None], self.shape.steps, axis=1))
        state = ops.concatenate(parts, axis=-1) if len(parts) > 1 else parts[0]
        for layer in self.stack:
            state = layer(state, training=training)
        return state

    def _tokens(self, batch: dict[str, Tensor]) -> Tensor:
        """Embedded values, shape (window, step, segment * dimension)."""
        assert self.tokens is not None
        assert self.token_embedding is not None
        # Tokens are read relative to the window's last level, so that a level change stays visible.
        z = (batch["segments"] - batch["level"][:, -1:, None]) / batch["scale"][:, -1:, None]
        count = self.tokens[0] - 1
        token = ops.floor((ops.clip(z, -TOKEN_LIMIT, TOKEN_LIMIT) + TOKEN_LIMIT) / (2 * TOKEN_LIMIT) * (count - 1))
        embedded = self.token_embedding(ops.cast((token + 1.0) * batch["observed"], "int32"))
        return ops.reshape(embedded, (-1, self.shape.steps, self.shape.segment * self.tokens[1]))

    def _numbers(self, batch: dict[str, Tensor]) -> list[Tensor]:
        """Scaled values, whether they were observed, and how level, scale and season move; (window, step, ...)."""
        observed, level, scale = batch["observed"], batch["level"], batch["scale"]
        z = (batch["segments"] - level[..., None]) / scale[..., None] * observed
        # Beyond the limit values still count, by their logarithm.
        far = ops.log1p(ops.relu(ops.abs(z) - INPUT_LIMIT))
        z = ops.clip(z, -INPUT_LIMIT, INPUT_LIMIT) + ops.sign(z) * far
        level_before, scale_before = (ops.concatenate([each[:, :1], each[:, :-1]], axis=1) for each in (level, scale))
        moved = [
            ops.clip((level - level_before) / scale, -INPUT_LIMIT, INPUT_LIMIT),
            ops.log(scale / scale_before),
            ops.arcsinh(level / scale),
            ops.log1p(ops.mean(observed, axis=-1)),
        ]
        return [z, observed, ops.stack(moved, axis=-1), ops.log(batch["error"]), batch["change"]]

    def _identity(self, batch: dict[str, Tensor]) -> Tensor | None:
        """Embeddings of the series and of its static categories, and its static numbers; shape (window, width)."""
        parts = [layer(batch["static"][:, i]) for i, layer in enumerate(self.static_embeddings)]
        if self.series_embedding is not None:
            parts.append(self.series_embedding(batch["row"]))
        if "static_numbers" in batch:
            parts.append(batch["static_numbers"])
        return ops.concatenate(parts, axis=-1) if parts else None

    def _head(self, batch: dict[str, Tensor], state: Tensor, lags: Tensor, observed: Tensor) -> Tensor:
        """One unbounded number per step and level, shape (window, origin, horizon, level)."""
        if self.output_dense is not None:
            for layer in self.hidden:
                state = layer(state)
            shape = (-1, state.shape[1], self.shape.horizon, len(self.quantile_levels))
            return ops.reshape(self.output_dense(state), shape)
        # Whether a lag was observed is the same for all ways of scaling it.
        known = [lags, observed[..., : self.shape.lags.shape[1]]]
        if self.use_calendar:
            known.append(batch["future_calendar"])
        if "future_covariates" in batch:
            # A lag tells of its own promotion, not of the one ahead: the head sees both.
            known += [batch["future_covariates"], batch["lag_covariates"]]
        assert self.step_head is not None
        return self.step_head(state, ops.concatenate(known, axis=-1))


def pinball(target: Tensor, predicted: Tensor, quantile_levels: np.ndarray) -> Tensor:
    """Pinball loss averaged over levels: (..., horizon) and (..., horizon, level) to (..., horizon)."""
    error = target[..., None] - predicted
    return ops.mean(ops.maximum(quantile_levels * error, (quantile_levels - 1.0) * error), axis=-1)
