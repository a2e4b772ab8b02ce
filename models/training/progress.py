"""How far training is: apart from what trains, so that who only shows it imports no Keras."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """How far training is: `step` of `steps`, the loss of the last round, and seconds likely left."""

    step: int
    steps: int
    loss: float
    validation_loss: float
    seconds_left: float
