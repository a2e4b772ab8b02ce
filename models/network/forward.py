"""From windows to quantiles of every step of the horizon: what the network computes, whoever does the arithmetic.

    values -> level and scale taken out -> segments (or tokens) -> recurrent stack -> head -> quantiles

The stack reads a window segment by segment and remembers; the head turns what it remembers
into the whole horizon at once, at all quantile levels, as a difference from a learnt mix of
the series' own seasonal lags, in units of what those err by. Everything here is in scaled units
(level 0, scale 1).

Written once for two: Keras trains it (`network.py`), and NumPy forecasts with it (`numpy_network.py`), which
spares a night the start of TensorFlow.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from models.network.head import scaled_lags, spread_quantiles
from models.network.windows import Ops, Tensor, WindowShape

# Scaled values beyond this are compressed or cut: one absurd value must not drown a window.
INPUT_LIMIT = 8.0
TOKEN_LIMIT = 5.0

Layer = Callable[..., Tensor]


class ForwardPass:
    """The computation, over layers that whoever inherits this makes.

    Attributes:
        ops: What computes.
        shape: The window's shape.
        quantile_levels: Ascending, with 0.5 among them.
        tokens: (vocabulary, dimension), or None to feed numbers.
        use_calendar: Whether calendar features enter.
        error_units: Whether forecasts count in units of the series' seasonal error, or in scales.
        token_embedding, series_embedding: Integers to vectors, where there are any.
        static_embeddings: The same for each static column.
        stack: Recurrent layers that give their whole sequence, first layer first.
        drop: What of the state the head does not see while training.
        step_head: State and known of each step to numbers, one per step and level; or None for:
        hidden, output_dense: Dense layers from the state to all of these numbers.
        lag_mix: Where the median starts, or None for 0.
    """

    ops: Ops
    shape: WindowShape
    quantile_levels: list[float]
    tokens: tuple[int, int] | None
    use_calendar: bool
    error_units: bool
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
        lags, observed = scaled_lags(batch, self.shape, origins, self.ops)
        if self.drop is not None:
            state = self.drop(state, training=training)
        quantiles = spread_quantiles(self._head(batch, state, lags, observed), self.quantile_levels, self.ops)
        if self.error_units:
            # The season that foretells the series best says how far off a forecast is likely to be.
            quantiles = quantiles * self.ops.min(batch["error"][:, -origins:], axis=-1)[..., None, None]
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
            parts.append(self.ops.repeat(identity[:, None], self.shape.steps, axis=1))
        state = self.ops.concatenate(parts, axis=-1) if len(parts) > 1 else parts[0]
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
        place = (self.ops.clip(z, -TOKEN_LIMIT, TOKEN_LIMIT) + TOKEN_LIMIT) / (2 * TOKEN_LIMIT)
        token = self.ops.floor(place * (count - 1))
        embedded = self.token_embedding(self.ops.cast((token + 1.0) * batch["observed"], "int32"))
        return self.ops.reshape(embedded, (-1, self.shape.steps, self.shape.segment * self.tokens[1]))

    def _numbers(self, batch: dict[str, Tensor]) -> list[Tensor]:
        """Scaled values, whether they were observed, and how level, scale and season move; (window, step, ...)."""
        ops = self.ops
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
        return self.ops.concatenate(parts, axis=-1) if parts else None

    def _head(self, batch: dict[str, Tensor], state: Tensor, lags: Tensor, observed: Tensor) -> Tensor:
        """One unbounded number per step and level, shape (window, origin, horizon, level)."""
        if self.output_dense is not None:
            for layer in self.hidden:
                state = layer(state)
            shape = (-1, state.shape[1], self.shape.horizon, len(self.quantile_levels))
            return self.ops.reshape(self.output_dense(state), shape)
        # Whether a lag was observed is the same for all ways of scaling it.
        known = [lags, observed[..., : self.shape.lags.shape[1]]]
        if self.use_calendar:
            known.append(batch["future_calendar"])
        if "future_covariates" in batch:
            # A lag tells of its own promotion, not of the one ahead: the head sees both.
            known += [batch["future_covariates"], batch["lag_covariates"]]
        assert self.step_head is not None
        return self.step_head(state, self.ops.concatenate(known, axis=-1))
