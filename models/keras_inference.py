"""Forecasts of windows by Keras, for accelerators: gather, then the network, as one function of the backend."""

from __future__ import annotations

import keras
import numpy as np
import numpy.typing as npt
from keras import ops

from models.flat_arrays import Arrays
from models.network import RecurrentForecaster
from models.training_windows import Index
from models.windows import Tensor, WindowShape, gather

BATCH = 2_048


class Reader(keras.Model):
    """The network as an accelerator is asked every night.

    The flat arrays are an input, so that what JAX has compiled serves every panel of the same size.
    """

    def __init__(self, network: RecurrentForecaster, shape: WindowShape, *, compiled: bool) -> None:
        super().__init__()
        self.network, self.window = network, shape
        # It has no weights of its own.
        self.built = True
        # XLA takes most of a minute for recurrent steps that are laid out in the graph, which JAX's never are.
        self.compile(run_eagerly=not compiled, jit_compile=keras.backend.backend() == "jax")

    def call(self, inputs: dict[str, Tensor]) -> Tensor:
        """Scaled quantiles from the last origin of each window, shape (window, horizon, level)."""
        index = inputs["index"]
        batch = gather(inputs["flat"], index[:, 0], index[:, 1], self.window, origins=1, ops=ops)
        return self.network(batch)[:, 0]

    def quantiles(self, arrays: Arrays, index: Index) -> npt.NDArray[np.float32]:
        """Scaled quantiles of windows.

        Args:
            arrays: See `flat_arrays.flatten`.
            index: Pairs (series, origin), shape (window, 2), one at least.

        Returns:
            Shape (window, horizon, level), ascending but for rounding.
        """
        flat = {name: ops.convert_to_tensor(array) for name, array in arrays.items()}
        batches = [
            self.predict_on_batch({"flat": flat, "index": ops.convert_to_tensor(part)})
            for part in np.array_split(index, -(-len(index) // BATCH))
        ]
        return np.asarray(np.concatenate(batches))
