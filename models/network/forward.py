"""The network's computation: from windows to quantiles of every step of the horizon.

    values -> level and scale taken out -> segments (or tokens) -> recurrent stack -> head -> quantiles

The recurrent stack reads a window segment by segment. The head turns its state into the whole horizon at once, at all
quantile levels: as differences from a learnt mix of the series' own seasonal lags, in units of the errors that those
lags made. Everything here is in scaled units (level 0, scale 1).

The computation is written once and runs on two libraries: Keras trains it (`training/keras_network.py`), and NumPy
forecasts with it (`numpy_network.py`), so that a night that only forecasts need not start TensorFlow.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from models.network.head import scaled_lags, spread_quantiles
from models.network.plan import Plan
from models.network.windows import Ops, Tensor
from models.trailing.window_shape import WindowShape

# Scaled values beyond these limits are compressed or cut: one absurd value must not drown a window.
INPUT_LIMIT = 8.0
TOKEN_LIMIT = 5.0

Layer = Callable[..., Tensor]


class ForwardPass:
    """The computation. A subclass makes the layers and names the library.

    Attributes:
        ops: The library: `keras.ops`, or `numpy_ops`.
        plan: Every number of the network.
        window: The shape of the windows that it reads.
        token_embedding, series_embedding: Integers to vectors; None where the plan has none.
        static_embeddings: The same for each static column.
        stack: Recurrent layers that give their whole sequence, first layer first.
        drop: Hides a share of the state from the head while training; None for nothing.
        step_head: From the state and what is known of each step to one number per step and quantile level; None
            where `hidden` and `output_dense` do it.
        hidden, output_dense: Dense layers from the state to all of these numbers.
        lag_mix: Gives the value from which the median differs; None for 0.
    """

    ops: Ops
    plan: Plan
    window: WindowShape
    token_embedding: Layer | None
    series_embedding: Layer | None
    static_embeddings: Sequence[Layer]
    stack: Sequence[Layer]
    drop: Layer | None
    step_head: Layer | None
    hidden: Sequence[Layer]
    output_dense: Layer | None
    lag_mix: Layer | None

    def call(self, batch: dict[str, Tensor], training: bool | None = None) -> Tensor:
        """Scaled quantiles of shape (window, origin, horizon, level), ascending along the last axis."""
        origins = batch["target"].shape[1]
        state = self._encode(batch, training)[:, -origins:]
        lags, observed = scaled_lags(batch, self.window, origins, self.ops)
        if self.drop is not None:
            state = self.drop(state, training=training)
        quantiles = spread_quantiles(self._head(batch, state, lags, observed), self.plan.quantile_levels, self.ops)
        if self.plan.error_units:
            # The season that predicts the series best tells how large an error to expect.
            unit = self.ops.min(batch["error"][:, -origins:], axis=-1)
            quantiles = quantiles * unit[..., None, None]
        if self.lag_mix is not None:
            quantiles = quantiles + self.lag_mix(state, lags, observed, batch["candidate_error"])[..., None]
        return quantiles

    def _encode(self, batch: dict[str, Tensor], training: bool | None) -> Tensor:
        """The recurrent state after each segment, shape (window, step, units)."""
        parts = [self._tokens(batch)] if self.plan.tokens is not None else self._numbers(batch)
        if self.plan.calendar:
            parts.append(batch["calendar"])
        if "past_covariates" in batch:
            parts.append(batch["past_covariates"])
        identity = self._identity(batch)
        if identity is not None:
            parts.append(self.ops.repeat(identity[:, None], self.window.recurrent_steps, axis=1))
        state = self.ops.concatenate(parts, axis=-1) if len(parts) > 1 else parts[0]
        for layer in self.stack:
            state = layer(state, training=training)
        return state

    def _tokens(self, batch: dict[str, Tensor]) -> Tensor:
        """Embedded values, shape (window, step, segment * dimension)."""
        assert self.plan.tokens is not None
        assert self.token_embedding is not None
        vocabulary, dimension = self.plan.tokens
        # All tokens are relative to the window's last level, so that a change of the level stays visible.
        z = (batch["segments"] - batch["level"][:, -1:, None]) / batch["scale"][:, -1:, None]
        count = vocabulary - 1
        place = (self.ops.clip(z, -TOKEN_LIMIT, TOKEN_LIMIT) + TOKEN_LIMIT) / (2 * TOKEN_LIMIT)
        token = self.ops.floor(place * (count - 1))
        embedded = self.token_embedding(self.ops.cast((token + 1.0) * batch["observed"], "int32"))
        return self.ops.reshape(embedded, (-1, self.window.recurrent_steps, self.window.segment * dimension))

    def _numbers(self, batch: dict[str, Tensor]) -> list[Tensor]:
        """Scaled values, whether they were observed, and how level, scale and season move; (window, step, ...)."""
        ops = self.ops
        observed, level, scale = batch["observed"], batch["level"], batch["scale"]
        z = (batch["segments"] - level[..., None]) / scale[..., None] * observed
        # Beyond the limit, values still count by their logarithm.
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
        return self.ops.concatenate(parts, axis=-1) if parts else None

    def _head(self, batch: dict[str, Tensor], state: Tensor, lags: Tensor, observed: Tensor) -> Tensor:
        """One unbounded number per step and level, shape (window, origin, horizon, level)."""
        if self.output_dense is not None:
            for layer in self.hidden:
                state = layer(state)
            shape = (-1, state.shape[1], self.window.horizon, len(self.plan.quantile_levels))
            return self.ops.reshape(self.output_dense(state), shape)
        # The masks of the differently scaled lags are the same: one of them is enough.
        known = [lags, observed[..., : self.window.lags.shape[1]]]
        if self.plan.calendar:
            known.append(batch["future_calendar"])
        if "future_covariates" in batch:
            # A lag was made under its own promotion, not under the one ahead: the head sees both.
            known += [batch["future_covariates"], batch["lag_covariates"]]
        assert self.step_head is not None
        return self.step_head(state, self.ops.concatenate(known, axis=-1))
