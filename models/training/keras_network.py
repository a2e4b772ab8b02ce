"""The recurrent network as Keras trains it; what it computes is in `forward`."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from models.arrays import Float32Array
from models.network.forward import ForwardPass
from models.network.head import lag_columns
from models.network.windows import Tensor, WindowShape
from models.training.keras_head import LagMix, StepHead

CELLS = {"simple_rnn": keras.layers.SimpleRNN, "lstm": keras.layers.LSTM, "gru": keras.layers.GRU}

Weights = dict[str, Float32Array]


@keras.saving.register_keras_serializable(package="nightcast")
class RecurrentForecaster(ForwardPass, keras.Model):
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

    ops = ops
    drop: keras.layers.Dropout | None

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

    @property
    def named_weights(self) -> Weights:
        """The weights of the built network by the path of each, which is the same on every backend."""
        return {_path(weight): np.asarray(ops.convert_to_numpy(weight)) for weight in self.weights}

    @named_weights.setter
    def named_weights(self, weights: Weights) -> None:
        self.set_weights([weights[_path(weight)] for weight in self.weights])


def _path(weight: keras.Variable) -> str:
    """Without the name of the network itself, which counts the networks of the process."""
    return str(weight.path).partition("/")[2]


def pinball(target: Tensor, predicted: Tensor, quantile_levels: np.ndarray) -> Tensor:
    """Pinball loss averaged over levels: (..., horizon) and (..., horizon, level) to (..., horizon)."""
    error = target[..., None] - predicted
    return ops.mean(ops.maximum(quantile_levels * error, (quantile_levels - 1.0) * error), axis=-1)
