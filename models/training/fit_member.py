"""A member's network in Keras: built, trained, and its weights given back to the member."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
from keras import ops

from models.network.member import Member
from models.network.numpy_network import Weights
from models.network.windows import gather
from models.panel.panel import Panel
from models.settings.training import TrainingSettings
from models.training.devices import accelerators, shared, training_devices
from models.training.keras_network import RecurrentForecaster
from models.training.loop import TrainingReport, train
from models.training.progress import Progress
from models.training.split import choose_windows

# Recurrent steps, all layers together, from which on a loop in a graph beats steps that are laid out.
LONG = 64


def built(member: Member, panel: Panel) -> RecurrentForecaster:
    """The member's network for windows of a panel's width, with the member's weights, or fresh ones where it has none.

    Args:
        member: The plan.
        panel: Whose covariates set the width; nothing is computed from its values.
    """
    plan, vocabulary = member.plan, member.vocabulary
    network = RecurrentForecaster(
        shape=member.shape,
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
        unroll=keras.backend.backend() == "tensorflow" and plan.steps * len(plan.layers) <= LONG and not accelerators(),
    )
    # One series is as wide as all of them.
    flat = {name: ops.convert_to_tensor(array) for name, array in member.flatten(panel.part(slice(0, 1))).items()}
    # Symbols will do for numbers: JAX would compile every operation of a real window.
    one = keras.KerasTensor((1,), "int32")
    network(gather(flat, one, one, member.shape, origins=1, ops=ops))
    if member.weights:
        network.named_weights = member.weights
    return network


def train_member(
    member: Member,
    panel: Panel,
    training: TrainingSettings,
    *,
    start_from: Weights | None,
    time_limit: float,
    progress: Callable[[Progress], None] | None,
) -> TrainingReport:
    """Train the member's network, from scratch or from other weights; see `training.train` and `training_devices`."""
    devices = training_devices(training.devices, member.plan.batch_size)
    # Weights begin on one device, whatever shares the steps later, so that the same seed makes the same ones.
    network = built(member, panel)
    if start_from is not None:
        network.named_weights = fitted_to(start_from, network.named_weights)
    member.weights = network.named_weights
    with shared(devices):
        # Weights lie where they were made: on all devices are only those of a network that is made in here.
        network = built(member, panel) if devices else network
        report = train(
            network,
            member.flatten(panel),
            choose_windows(panel.offsets, panel.observed, member.plan).in_equal_parts(max(len(devices), 1)),
            member.plan,
            shape=member.shape,
            seed=training.seed,
            time_limit=time_limit,
            patience=training.patience,
            mode="scratch" if start_from is None else "warm",
            progress=progress,
            chosen=lambda: member.chosen.update(network.named_weights),
        )
    member.weights = network.named_weights
    member.summary = _summary(network)
    return report


def fitted_to(weights: Weights, like: Weights) -> Weights:
    """Weights in the shapes of others; a row that they have not starts as their row for unknown ones, the first."""
    fitted = {}
    for name, array in like.items():
        mine = weights[name]
        missing = np.repeat(mine[:1], len(array) - len(mine), axis=0)
        fitted[name] = np.concatenate([mine, missing])
    return fitted


def _summary(network: RecurrentForecaster) -> str:
    lines: list[str] = []
    network.summary(print_fn=lines.append, line_length=100)
    return "\n".join(lines)
