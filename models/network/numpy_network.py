"""The trained network in NumPy, made from its weights alone; its computation is in `forward`.

On a CPU this is faster than Keras's backends: it needs no start of several seconds and no hundred microseconds for
each operation, and each core works on its own windows (see `panel/parallel.py`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial

import numpy as np
from scipy.special import erf

from models.arrays import AnyArray, Float32Array
from models.network import numpy_ops
from models.network.forward import ForwardPass
from models.network.head import mix_lags, read_steps
from models.network.plan import Plan

# Weights by their paths in Keras's network, which are the same on every backend.
Weights = dict[str, Float32Array]
Activation = Callable[[Float32Array], Float32Array]


class NumpyNetwork(ForwardPass):
    """A network that only forecasts.

    Args:
        plan: The plan that the network was built by.
        weights: Path in Keras's network to array.

    Raises:
        KeyError: where a weight is missing.
    """

    ops = numpy_ops

    def __init__(self, plan: Plan, weights: Weights) -> None:
        def dense(path: str, activation: Activation = np.asarray) -> Dense:
            return Dense(weights[f"{path}/kernel"], weights.get(f"{path}/bias"), activation)

        def embedding(path: str) -> Callable[[AnyArray], Float32Array]:
            return partial(numpy_ops.take, weights[f"{path}/embeddings"], axis=0)

        self.plan, self.window = plan, plan.window
        self.token_embedding = embedding("token_embedding") if plan.tokens else None
        self.series_embedding = embedding("series_embedding") if plan.series_embedding else None
        count = len({path for path in weights if path.startswith("static_embedding_")})
        self.static_embeddings = [embedding(f"static_embedding_{i}") for i in range(count)]
        self.stack = [
            CELLS[cell](*(weights[f"{cell}_{i}/{cell}_cell/{part}"] for part in ("kernel", "recurrent_kernel", "bias")))
            for i, (cell, _) in enumerate(plan.layers)
        ]
        self.drop, self.step_head, self.hidden, self.output_dense, self.lag_mix = None, None, [], None, None
        if plan.head is None:
            self.step_head = StepHead(
                dense("step_head/from_state"),
                dense("step_head/from_step"),
                dense("step_head/hidden", numpy_ops.relu),
                dense("step_head/output"),
            )
        else:
            self.hidden = [dense(f"dense_{i}", gelu) for i in range(len(plan.head))]
            self.output_dense = dense("output")
        if plan.residual:
            shift = dense("lag_mix/shift") if "lag_mix/shift/kernel" in weights else None
            self.lag_mix = LagMix(weights["lag_mix/logits"], weights["lag_mix/power"], shift)


class Dense:
    """An affine map of the last axis, then the activation."""

    def __init__(self, kernel: Float32Array, offset: Float32Array | None, activation: Activation) -> None:
        self.kernel, self.offset, self.activation = kernel, offset, activation

    def __call__(self, values: Float32Array) -> Float32Array:
        product = np.matmul(values, self.kernel)
        if self.offset is not None:
            product += self.offset
        return self.activation(product)


class LagMix:
    """See `keras_head.LagMix`."""

    def __init__(self, logits: Float32Array, power: Float32Array, shift: Dense | None) -> None:
        self.logits, self.power, self.shift = logits, power, shift

    def __call__(
        self, state: Float32Array, lags: Float32Array, observed: Float32Array, error: Float32Array
    ) -> Float32Array:
        by_series = -self.power * error
        if self.shift is not None:
            by_series = by_series + self.shift(state)
        logits = self.logits + by_series[:, :, None]
        return np.asarray(mix_lags(logits, lags, observed, numpy_ops))


class StepHead:
    """See `keras_head.StepHead`."""

    def __init__(self, from_state: Dense, from_step: Dense, hidden: Dense, output: Dense) -> None:
        self.from_state, self.from_step, self.hidden, self.output = from_state, from_step, hidden, output

    def __call__(self, state: Float32Array, known: Float32Array) -> Float32Array:
        return self.output(read_steps(self.from_state(state), self.from_step(known), self.hidden, numpy_ops))


def gelu(values: Float32Array) -> Float32Array:
    return np.asarray(values * (0.5 + 0.5 * erf(values * np.float32(0.5**0.5))))


class _Recurrent(ABC):
    """A layer that reads (window, step, feature) step by step, and gives its state after each: (window, step, unit).

    The sigmoid is 1 / (1 + exp(-x)) and the hyperbolic tangent 2 / (1 + exp(-2 x)) - 1, one exponential each. The
    factors of x are multiplied into the weights once, so that a step computes only `1 / (1 + exp(x))`.

    Args:
        kernel: Shape (feature, gate * unit).
        recurrent: Shape (unit, gate * unit).
        offset: Shape (gate * unit,), or (2, gate * unit): of the input and of the state.
        factors: The factor of x in each gate.
    """

    def __init__(
        self, kernel: Float32Array, recurrent: Float32Array, offset: Float32Array, factors: tuple[float, ...]
    ) -> None:
        self.units = len(recurrent)
        factor = np.repeat(np.array(factors, np.float32), self.units)
        self.kernel, self.recurrent, self.offset = kernel * factor, recurrent * factor, offset * factor

    def __call__(self, values: Float32Array, training: bool | None = None) -> Float32Array:
        # The step comes first, so that the inputs of each step lie together in memory.
        inputs = np.matmul(values.transpose(1, 0, 2), self.kernel)
        inputs += self.offset if self.offset.ndim == 1 else self.offset[0]
        states = np.empty((*inputs.shape[:2], self.units), np.float32)
        # Beyond 88 the exponential is infinite, and its inverse is 0 as it should be.
        with np.errstate(over="ignore"):
            self._run(inputs, states)
        return states.transpose(1, 0, 2)

    @abstractmethod
    def _run(self, inputs: Float32Array, states: Float32Array) -> None:
        """Fill the states, (step, window, unit), from the inputs' products, (step, window, gate * unit)."""


class SimpleRnn(_Recurrent):
    """See `keras.layers.SimpleRNN`."""

    def __init__(self, kernel: Float32Array, recurrent: Float32Array, offset: Float32Array) -> None:
        super().__init__(kernel, recurrent, offset, (-2.0,))

    def _run(self, inputs: Float32Array, states: Float32Array) -> None:
        for step, entering in enumerate(inputs):
            if step:
                entering += states[step - 1] @ self.recurrent
            _inverse(entering)
            np.multiply(entering, 2, out=states[step])
            states[step] -= 1


class Lstm(_Recurrent):
    """See `keras.layers.LSTM`."""

    def __init__(self, kernel: Float32Array, recurrent: Float32Array, offset: Float32Array) -> None:
        super().__init__(kernel, recurrent, offset, (-1.0, -1.0, -2.0, -1.0))

    def _run(self, inputs: Float32Array, states: Float32Array) -> None:
        units = self.units
        cell = np.zeros(states.shape[1:], np.float32)
        for step, gates in enumerate(inputs):
            if step:
                gates += states[step - 1] @ self.recurrent
            _inverse(gates)
            admit, keep, candidate, emit = (gates[:, place * units : (place + 1) * units] for place in range(4))
            candidate *= 2
            candidate -= 1
            candidate *= admit
            cell *= keep
            cell += candidate
            state = states[step]
            np.multiply(cell, -2, out=state)
            _inverse(state)
            state *= 2
            state -= 1
            state *= emit


class Gru(_Recurrent):
    """See `keras.layers.GRU`; its reset gate is applied after the product with the state."""

    def __init__(self, kernel: Float32Array, recurrent: Float32Array, offset: Float32Array) -> None:
        super().__init__(kernel, recurrent, offset, (-1.0, -1.0, -2.0))

    def _run(self, inputs: Float32Array, states: Float32Array) -> None:
        units, offset = self.units, self.offset[1]
        before = np.zeros(states.shape[1:], np.float32)
        for step, entering in enumerate(inputs):
            inner = offset
            if step:
                inner = before @ self.recurrent
                inner += offset
            gates, candidate = entering[:, : 2 * units], entering[:, 2 * units :]
            gates += inner[..., : 2 * units]
            _inverse(gates)
            keep, reset = gates[:, :units], gates[:, units:]
            reset *= inner[..., 2 * units :]
            candidate += reset
            _inverse(candidate)
            candidate *= 2
            candidate -= 1
            after = states[step]
            np.subtract(before, candidate, out=after)
            after *= keep
            after += candidate
            before = after


def _inverse(values: Float32Array) -> None:
    """1 / (1 + exp(x)) in place."""
    np.exp(values, out=values)
    values += 1
    np.reciprocal(values, out=values)


CELLS: dict[str, Callable[..., _Recurrent]] = {"simple_rnn": SimpleRnn, "lstm": Lstm, "gru": Gru}
