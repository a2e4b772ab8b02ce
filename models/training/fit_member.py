"""Building a member's network in Keras, training it, and giving its weights back to the member."""

from __future__ import annotations

import keras
import numpy as np
from keras import ops

from models.arrays import AnyArray
from models.network import numpy_ops
from models.network.features import Arrays
from models.network.member import Member
from models.network.numpy_network import Weights
from models.network.windows import Tensor, gather
from models.panel.panel import Panel
from models.settings.training import TrainingSettings
from models.training.devices import accelerators, shared, training_devices
from models.training.keras_network import RecurrentForecaster
from models.training.loop import train
from models.training.progress import OnProgress
from models.training.report import Start, TrainingReport
from models.training.split import choose_windows

# With more recurrent steps, all layers together, a loop in the graph is faster than steps that are laid out in it.
LONG = 64


def built(member: Member, panel: Panel) -> RecurrentForecaster:
    """The member's network, with the member's weights, or with fresh ones where it has none.

    Args:
        member: The plan and the vocabulary.
        panel: Its covariates set the width of the windows; its values decide nothing.
    """
    plan = member.plan
    # Laid-out steps run faster on a CPU, but take long to lay out where there are many. A GPU's cuDNN needs the loop.
    few_steps = plan.recurrent_steps * len(plan.layers) <= LONG
    unroll = keras.backend.backend() == "tensorflow" and few_steps and not accelerators()
    network = RecurrentForecaster(plan, member.vocabulary, unroll=unroll)
    network({name: _as_first_input(array) for name, array in _any_window(member, panel).items()})
    if member.weights:
        network.named_weights = member.weights
    return network


def _any_window(member: Member, panel: Panel) -> Arrays:
    """A window of the first series, which is as wide as those of all others."""
    arrays = member.flatten(panel.part(slice(0, 1)))
    first, origin = np.zeros(1, np.int32), arrays["end"] - 1
    return gather(arrays, first, origin, member.window, origins=1, ops=numpy_ops)


def _as_first_input(array: AnyArray) -> Tensor:
    """What layers take their shapes from: numbers where one call costs less than laying out a graph."""
    if keras.backend.backend() == "tensorflow":
        return ops.convert_to_tensor(array)
    # JAX would compile every operation on a real window.
    return keras.KerasTensor(array.shape, str(array.dtype))


def train_member(
    member: Member,
    panel: Panel,
    training: TrainingSettings,
    *,
    start_from: Weights | None,
    steps_before: int | None = None,
    on_progress: OnProgress | None,
) -> TrainingReport:
    """Train the member's network, and leave its weights and its summary in the member.

    Args:
        member: Its plan and vocabulary.
        panel: The series to learn from.
        training: The training; the time limit is that of this member.
        start_from: Weights for a warm start; None to train from scratch.
        steps_before: The steps that there was time for in an earlier training of this member; None for none.
        on_progress: Called after each round.

    Raises:
        TrainingFailed: see `train`.
        ValueError: see `training_devices`.
    """
    devices = training_devices(training.devices, member.plan.batch_size)
    # Weights are made on one device, whatever devices share the steps: the same seed then makes the same weights.
    network = built(member, panel)
    if start_from is not None:
        network.named_weights = fitted_to(start_from, network.named_weights)
    member.weights = network.named_weights
    with shared(devices):
        # Weights stay on the device where they were made: only a network that is made here has them on all devices.
        network = built(member, panel) if devices else network
        report = train(
            network,
            member.flatten(panel),
            choose_windows(panel.offsets, panel.observed, member.plan).in_equal_parts(max(len(devices), 1)),
            training,
            start=Start("scratch" if start_from is None else "warm", steps_before),
            on_progress=on_progress,
            before_settling=lambda: member.before_settling.update(network.named_weights),
        )
    member.weights = network.named_weights
    member.summary = _summary(network)
    return report


def fitted_to(weights: Weights, like: Weights) -> Weights:
    """Weights in the shapes of others; each row that they lack is a copy of the first row, that of the unknown."""
    fitted = {}
    for name, array in like.items():
        known = weights[name]
        missing = np.repeat(known[:1], len(array) - len(known), axis=0)
        fitted[name] = np.concatenate([known, missing])
    return fitted


def _summary(network: RecurrentForecaster) -> str:
    lines: list[str] = []
    network.summary(print_fn=lines.append, line_length=100)
    return "\n".join(lines)
