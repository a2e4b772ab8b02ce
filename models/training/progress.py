"""How far training is. It stands apart from the training, so that a process that only shows it imports no Keras."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """How far training is.

    Attributes:
        step: Training steps made.
        steps: Training steps to make.
        loss: Mean loss of the last round.
        validation_loss: Loss on the held-out windows after it.
        seconds_left: Estimated seconds to the end; None after the first round, whose time is mostly compilation.
    """

    step: int
    steps: int
    loss: float
    validation_loss: float
    seconds_left: float | None


OnProgress = Callable[[Progress], None]
