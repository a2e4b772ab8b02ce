"""One network of the ensemble: what it looks at, its weights, and its forecasts in the series' own units."""

from __future__ import annotations

from functools import partial

import numpy as np
import numpy.typing as npt

from models.arrays import Float32Array, FloatArray, Int32Array, IntArray
from models.network import numpy_ops
from models.network.features import Arrays, Vocabulary, flatten
from models.network.numpy_network import NumpyNetwork, Weights
from models.network.plan import Plan
from models.network.scaling import reach_of
from models.network.windows import WindowShape, gather
from models.panel.panel import Panel
from models.panel.parallel import in_blocks


class Member:
    """A recurrent network and the plan that it was built and trained by.

    Attributes:
        plan: Every number of the network and its training.
        vocabulary: Rows of series and categories, scales of covariates.
        shape: The window's shape.
        summary: Keras's own table of layers and numbers of weights; "" before training.
        chosen: Where this was trained just now, the weights that validation chose: they have learnt nothing from the
            newest steps, which `weights` have; else empty.
    """

    def __init__(self, plan: Plan, vocabulary: Vocabulary) -> None:
        self.plan, self.vocabulary = plan, vocabulary
        self.shape = WindowShape(plan.segment, plan.steps, plan.horizon, plan.seasons, plan.cycles)
        self.summary = ""
        self._weights: Weights = {}
        self.chosen: Weights = {}

    @property
    def weights(self) -> Weights:
        """Path in Keras's network to array; empty before training."""
        return self._weights

    @weights.setter
    def weights(self, weights: Weights) -> None:
        """Raises KeyError where the plan's network has a weight that is not among them."""
        self._weights, self._network = weights, NumpyNetwork(self.plan, self.shape, weights)

    @property
    def memory(self) -> int:
        """How many steps before the cutoff a forecast depends on."""
        plan = self.plan
        seen = max(self.shape.context_length, int(self.shape.lags.max()))
        return seen + reach_of(plan.scale_window) + max(plan.seasons)

    def quantiles(self, panel: Panel, able: IntArray) -> FloatArray:
        """Quantiles of some series from the panel's cutoff, in their own units, computed on cores.

        Args:
            panel: The series.
            able: Shape (able,), which of them, ascending; one at least.

        Returns:
            Shape (able, horizon, level), ascending but for rounding; not finite where the network gave no number.
        """
        panel = panel.newest(self.memory)
        return np.concatenate(in_blocks(panel, partial(self._of_block, able=able, oldest=int(panel.lengths.max()))))

    def quantiles_at(self, panel: Panel, arrays: Arrays, series: Int32Array, origin: Int32Array) -> FloatArray:
        """Quantiles from origins within the history, in the series' own units.

        Args:
            panel: The series.
            arrays: What `flatten` makes of it, laid out everywhere.
            series: Shape (window,), ascending.
            origin: Shape (window,), the flat position of the last value that each window sees.

        Returns:
            Shape (window, horizon, level).
        """
        windows = gather(arrays, series, origin, self.shape, origins=1, ops=numpy_ops)
        return in_units(panel, series, arrays, self._network.call(windows)[:, 0], origin)

    def flatten(self, panel: Panel, at: IntArray | None = None, first: int | None = None) -> Arrays:
        """See `flat_arrays.flatten`."""
        plan = self.plan
        return flatten(
            panel,
            self.vocabulary,
            level_window=plan.level_window,
            scale_window=plan.scale_window,
            seasons=plan.seasons,
            at=at,
            first=first,
        )

    def _of_block(self, panel: Panel, place: int, able: IntArray, oldest: int) -> FloatArray:
        """Those of a few series, the first of which has the place `place` among all, whose oldest has that length."""
        series = able[np.searchsorted(able, place) : np.searchsorted(able, place + len(panel))] - place
        origin = panel.offsets[1:][series] - 1
        at = self.shape.scaled_at(panel.offsets[:-1][series], origin)
        arrays = self.flatten(panel, at, panel.cutoff_index + 1 - oldest)
        index = series.astype(np.int32), origin.astype(np.int32)
        scaled = self._network.call(gather(arrays, *index, self.shape, origins=1, ops=numpy_ops))[:, 0]
        return in_units(panel, series, arrays, scaled)


def in_units(
    panel: Panel,
    series: npt.NDArray[np.integer],
    arrays: Arrays,
    scaled: Float32Array,
    origin: npt.NDArray[np.integer] | None = None,
) -> FloatArray:
    """Scaled quantiles of windows in their series' own units, (window, horizon, level); from the ends if left out."""
    if origin is None:
        origin = panel.offsets[1:][series] - 1
    level, scale = arrays["level"][origin].astype(np.float64), arrays["scale"][origin].astype(np.float64)
    # What has not moved for so long has no scale of its own, and nothing says that it will move.
    scale[panel.constant[series]] = 0.0
    return np.asarray(level[:, None, None] + scale[:, None, None] * scaled)
