"""The recurrent network as Keras trains it; its computation is in `network/forward.py`."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from models.network.forward import ForwardPass
from models.network.numpy_network import Weights
from models.network.plan import Plan
from models.network.vocabulary import Vocabulary
from models.network.windows import Tensor
from models.training.keras_head import LagMix, StepHead

CELLS = {"simple_rnn": keras.layers.SimpleRNN, "lstm": keras.layers.LSTM, "gru": keras.layers.GRU}


class RecurrentForecaster(ForwardPass, keras.Model):
    """Embedding or segments, a stack of recurrent layers, and a head for all steps and quantile levels.

    Args:
        plan: Every number of the network.
        vocabulary: How many rows the embeddings have.
        unroll: Whether recurrent steps are laid out in the graph: faster on a CPU, but without cuDNN.
    """

    ops = ops
    drop: keras.layers.Dropout | None

    def __init__(self, plan: Plan, vocabulary: Vocabulary, *, unroll: bool = False) -> None:
        super().__init__()
        self.plan, self.window = plan, plan.window
        self.token_embedding = keras.layers.Embedding(*plan.tokens, name="token_embedding") if plan.tokens else None
        self.series_embedding = (
            keras.layers.Embedding(vocabulary.series_rows, plan.series_embedding, name="series_embedding")
            if plan.series_embedding
            else None
        )
        self.static_embeddings = [
            keras.layers.Embedding(rows, plan.static_embedding, name=f"static_embedding_{i}")
            for i, rows in enumerate(vocabulary.category_rows if plan.static_embedding else ())
        ]
        # Every layer gives its whole sequence, the last one too, since each recurrent step may be an origin.
        self.stack = [
            CELLS[cell](units, return_sequences=True, unroll=unroll, name=f"{cell}_{i}")
            for i, (cell, units) in enumerate(plan.layers)
        ]
        self.drop = keras.layers.Dropout(plan.dropout, name="dropout") if plan.dropout else None
        self._make_head(plan)

    def build(self, batch_shape: Any) -> None:
        """Leave it to the first call, in which each layer builds itself. Keras would trace that call once more."""

    def _make_head(self, plan: Plan) -> None:
        count = len(plan.quantile_levels)
        self.step_head, self.hidden, self.output_dense = None, [], None
        if plan.head is None:
            self.step_head = StepHead(plan.horizon, plan.head_units, count, name="step_head")
        else:
            self.hidden = [
                keras.layers.Dense(units, activation="gelu", name=f"dense_{i}") for i, units in enumerate(plan.head)
            ]
            self.output_dense = keras.layers.Dense(plan.horizon * count, name="output")
        by_state = plan.mix_by_state and plan.head is None
        self.lag_mix = (
            LagMix(plan.horizon, self.window.candidate_count, by_state, plan.error_power, name="lag_mix")
            if plan.residual
            else None
        )

    def seed_dropout(self, seed: int) -> None:
        """Restart the random sequence of the dropout, which otherwise depends on networks that were made before."""
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
    """Pinball loss, the mean over quantile levels: (..., horizon) and (..., horizon, level) to (..., horizon)."""
    error = target[..., None] - predicted
    return ops.mean(ops.maximum(quantile_levels * error, (quantile_levels - 1.0) * error), axis=-1)
