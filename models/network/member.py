"""One network of the ensemble: what it looks at, its weights, and its forecasts in the series' own units."""

from __future__ import annotations

from collections.abc import Collection
from copy import copy
from functools import partial

import numpy as np
import numpy.typing as npt

from models.arrays import Float32Array, FloatArray, Int32Array, IntArray
from models.network import numpy_ops
from models.network.features import Arrays, Unseen, flatten, without_inputs
from models.network.numpy_network import NumpyNetwork, Weights
from models.network.plan import Plan
from models.network.vocabulary import Vocabulary
from models.network.windows import gather
from models.panel.panel import Panel
from models.panel.parallel import in_blocks
from models.trailing.scaling import scaling_look_back
from models.trailing.smoothing import PROFILE_SPAN, SPAN


class Member:
    """A recurrent network with the plan by which it was built and trained.

    Attributes:
        plan: Every number of the network and its training.
        vocabulary: Rows of series and categories, scales of covariates.
        window: The shape of the windows that it reads.
        summary: Keras's own table of layers and numbers of weights; "" before training.
        before_settling: Just after training, the weights that validation chose: they have learnt nothing from the
            newest steps, from which `weights` have learnt too. Empty for a version that was loaded.
    """

    def __init__(self, plan: Plan, vocabulary: Vocabulary) -> None:
        self.plan, self.vocabulary = plan, vocabulary
        self.window = plan.window
        self.summary = ""
        self._weights: Weights = {}
        self.before_settling: Weights = {}
        self._unseen: frozenset[Unseen] = frozenset()
        self._longest = 0

    @property
    def weights(self) -> Weights:
        """The weights by their paths in Keras's network; empty before training.

        Raises:
            KeyError: on setting them, where the plan's network has a weight that is not among them.
        """
        return self._weights

    @weights.setter
    def weights(self, weights: Weights) -> None:
        self._weights, self._network = weights, NumpyNetwork(self.plan, weights)

    def blind_to(self, unseen: Collection[Unseen]) -> Member:
        """The same network, which forecasts from the panel's cutoff without some inputs; see `without_inputs`."""
        blind = copy(self)
        blind._unseen = frozenset(unseen)
        return blind

    def beside(self, longest: int) -> Member:
        """The same network, for some series of a panel whose longest series has so many steps.

        The calendar of a window begins where the longest series does, so a short series is forecast as in its panel.
        """
        other = copy(self)
        other._longest = longest
        return other

    @property
    def look_back(self) -> int:
        """How many steps before the cutoff a forecast depends on."""
        seen = max(self.window.context_length, int(self.window.lags.max()))
        # A forecast depends on the errors of candidates, those on candidates of then, and those on a level of then.
        then = self.window.error_window + self.window.horizon
        scaled = scaling_look_back(self.plan.scale_window) + max(SPAN, max(self.plan.seasons))
        return seen + then + max(scaled, PROFILE_SPAN * max(self.plan.profile_seasons, default=0))

    def quantiles(self, panel: Panel, able: IntArray) -> FloatArray:
        """Quantiles of some series from the panel's cutoff, in their own units, computed on all cores.

        Args:
            panel: The series.
            able: Shape (able,), the rows of those series, ascending; at least one.

        Returns:
            Shape (able, horizon, level), ascending but for rounding; not finite where the network gave no number.
        """
        longest = min(max(int(panel.lengths.max()), self._longest), self.look_back)
        panel = panel.newest(self.look_back)
        of_block = partial(self._quantiles_of_block, able=able, longest=longest)
        return np.concatenate(in_blocks(panel, of_block))

    def quantiles_at(self, panel: Panel, arrays: Arrays, series: Int32Array, origin: Int32Array) -> FloatArray:
        """Quantiles from origins within the history, in the series' own units.

        Args:
            panel: The series.
            arrays: From `flatten`, laid out everywhere.
            series: Shape (window,), ascending.
            origin: Shape (window,), the flat position of the last value that each window sees.

        Returns:
            Shape (window, horizon, level).
        """
        return in_units(panel, arrays, series, origin, self._scaled_quantiles(arrays, series, origin))

    def flatten(self, panel: Panel, origins: IntArray | None = None, first: int | None = None) -> Arrays:
        """The arrays that the network reads; see `features.flatten`."""
        plan = self.plan
        return flatten(
            panel,
            self.vocabulary,
            level_window=plan.level_window,
            scale_window=plan.scale_window,
            window=self.window,
            origins=origins,
            first=first,
        )

    def _quantiles_of_block(self, block: Panel, row: int, able: IntArray, longest: int) -> FloatArray:
        """Quantiles of the able series of a block.

        Args:
            block: Neighbouring series of the panel.
            row: The row of the first of them in the panel.
            able: As in `quantiles`.
            longest: Length of the longest series of the panel.
        """
        series = able[np.searchsorted(able, row) : np.searchsorted(able, row + len(block))] - row
        origin = block.offsets[1:][series] - 1
        arrays = self.flatten(block, origin, block.cutoff_index + 1 - longest)
        if self._unseen:
            arrays = without_inputs(arrays, block, self._unseen)
        scaled = self._scaled_quantiles(arrays, series.astype(np.int32), origin.astype(np.int32))
        return in_units(block, arrays, series, origin, scaled)

    def _scaled_quantiles(self, arrays: Arrays, series: Int32Array, origin: Int32Array) -> Float32Array:
        windows = gather(arrays, series, origin, self.window, origins=1, ops=numpy_ops)
        return np.asarray(self._network.call(windows)[:, 0])


def in_units(
    panel: Panel,
    arrays: Arrays,
    series: npt.NDArray[np.integer],
    origin: npt.NDArray[np.integer],
    scaled: Float32Array,
) -> FloatArray:
    """Scaled quantiles of windows in their series' own units, shape (window, horizon, level).

    Args:
        panel: The series.
        arrays: From `flatten`.
        series: Shape (window,).
        origin: Shape (window,), flat positions.
        scaled: Shape (window, horizon, level).
    """
    level, scale = arrays["level"][origin].astype(np.float64), arrays["scale"][origin].astype(np.float64)
    # A series that has never changed is forecast to stay as it is.
    scale[panel.constant[series]] = 0.0
    return np.asarray(level[:, None, None] + scale[:, None, None] * scaled)
