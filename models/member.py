"""One network of the ensemble: what it looks at, its weights, and its forecasts in the series' own units."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import numpy.typing as npt
from keras import ops

from models.choices import Plan
from models.devices import accelerators, shared, training_devices
from models.flat_arrays import Arrays, Vocabulary, flatten
from models.inference import Reader
from models.network import RecurrentForecaster
from models.panel import Panel
from models.scaling import reach_of
from models.settings import TrainingSettings
from models.training import Progress, TrainingReport, train
from models.training_windows import choose_windows
from models.windows import WindowShape, gather

# Recurrent steps, all layers together, from which on a loop in a graph beats steps that are laid out.
LONG = 64


class Member:
    """A recurrent network and the plan that it was built and trained by.

    Attributes:
        plan: Every number of the network and its training.
        vocabulary: Rows of series and categories, scales of covariates.
        network: The network itself.
    """

    def __init__(self, plan: Plan, vocabulary: Vocabulary) -> None:
        self.plan, self.vocabulary = plan, vocabulary
        self.shape = WindowShape(plan.segment, plan.steps, plan.horizon, plan.seasons, plan.cycles)
        self.network = RecurrentForecaster(
            shape=self.shape,
            quantile_levels=list(plan.quantile_levels),
            layers=list(plan.layers),
            head=None if plan.head is None else list(plan.head),
            head_units=plan.head_units,
            tokens=plan.tokens,
            calendar=plan.calendar,
            residual=plan.residual,
            mix_by_state=plan.mix_by_state,
            error_units=plan.error_units,
            series_rows=max(vocabulary.series.values(), default=0) + 1 if plan.series_embedding else 1,
            series_embedding=plan.series_embedding,
            categories=tuple(max(rows.values(), default=0) + 1 for rows in vocabulary.categories.values()),
            static_embedding=plan.static_embedding,
            dropout=plan.dropout,
            # Laid-out steps run faster on a CPU, but take long to lay out where there are many; cuDNN wants the loop.
            unroll=keras.backend.backend() == "tensorflow" and not self._is_long and not accelerators(),
        )
        # A graph of few steps takes longer to make than most nights to forecast; but JAX would compile every single
        # operation, which takes longer than all of them at once.
        self.reader = Reader(self.network, self.shape, compiled=self._is_long or keras.backend.backend() == "jax")

    @property
    def memory(self) -> int:
        """How many steps before the cutoff a forecast depends on."""
        plan = self.plan
        seen = max(self.shape.context_length, int(self.shape.lags.max()))
        return seen + reach_of(plan.scale_window) + max(plan.seasons)

    @property
    def _is_long(self) -> bool:
        return self.plan.steps * len(self.plan.layers) > LONG

    def build(self, panel: Panel) -> None:
        """Make the weights, for windows of a panel's width; nothing is computed yet."""
        flat = {name: ops.convert_to_tensor(array) for name, array in self._flatten(panel).items()}
        # Symbols will do for numbers: JAX would compile every operation of a real window.
        one = keras.KerasTensor((1,), "int32")
        self.network(gather(flat, one, one, self.shape, origins=1))

    def take_weights(self, other: Member) -> None:
        """Copy weights into a built network; a row that the other has not starts as its row for unknown ones."""
        copied = []
        for mine, theirs in zip(self.network.get_weights(), other.network.get_weights(), strict=True):
            if mine.shape != theirs.shape:
                missing = np.repeat(theirs[:1], len(mine) - len(theirs), axis=0)
                theirs = np.concatenate([theirs, missing])
            copied.append(theirs)
        self.network.set_weights(copied)

    def train(
        self,
        panel: Panel,
        training: TrainingSettings,
        *,
        mode: str,
        time_limit: float,
        progress: Callable[[Progress], None] | None,
    ) -> TrainingReport:
        """Train the built network in place; see `training.train` and `devices.training_devices`."""
        devices = training_devices(training.devices, self.plan.batch_size)
        with shared(devices):
            # Weights lie where they were made: on all devices are only those of a network that is made in here.
            network = self._twin(panel).network if devices else self.network
            report = train(
                network,
                self._flatten(panel),
                choose_windows(panel.offsets, panel.observed, self.plan).in_equal_parts(max(len(devices), 1)),
                self.plan,
                shape=self.shape,
                seed=training.seed,
                time_limit=time_limit,
                patience=training.patience,
                mode=mode,
                progress=progress,
            )
        if devices:
            self.network.set_weights(network.get_weights())
        return report

    def quantiles(self, panel: Panel, able: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Quantiles of some series from the panel's cutoff, in their own units.

        Args:
            panel: The series.
            able: Shape (able,), which of them.

        Returns:
            Shape (able, horizon, level), ascending but for rounding; not finite where the network gave no number.
        """
        panel = panel.newest(self.memory)
        arrays = self._flatten(panel)
        index = np.stack([able, panel.offsets[1:][able] - 1], axis=1).astype(np.int32)
        scaled = self.reader.quantiles(arrays, index)
        place = index[:, 1]
        level, scale = arrays["level"][place].astype(np.float64), arrays["scale"][place].astype(np.float64)
        # What has not moved for so long has no scale of its own, and nothing says that it will move.
        scale[panel.constant[able]] = 0.0
        return level[:, None, None] + scale[:, None, None] * scaled

    @property
    def summary(self) -> str:
        """Keras's own table of layers and numbers of weights."""
        lines: list[str] = []
        self.network.summary(print_fn=lines.append, line_length=100)
        return "\n".join(lines)

    def _twin(self, panel: Panel) -> Member:
        twin = Member(self.plan, self.vocabulary)
        twin.build(panel)
        twin.take_weights(self)
        return twin

    def _flatten(self, panel: Panel) -> Arrays:
        plan = self.plan
        return flatten(
            panel,
            self.vocabulary,
            level_window=plan.level_window,
            scale_window=plan.scale_window,
            seasons=plan.seasons,
        )
