"""Trainings of the same plan on arrays of the same shapes share the graph that Keras laid out for the first of them.

A graph costs several times as much as the few steps that a test trains. Everything else is as in a training of its
own: weights, the optimizer, the arrays and all random sequences begin anew.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from keras import ops

from models.arrays import AnyArray
from models.network.features import Arrays
from models.network.member import Member
from models.network.plan import Plan
from models.panel.panel import Panel
from models.training.fit_member import built
from models.training.keras_network import RecurrentForecaster
from models.training.objective import Objective
from models.training.split import Windows

Shapes = tuple[tuple[int, ...], ...]


class KeptObjective(Objective):
    """An objective that is compiled once.

    Attributes:
        first: What the variables of a new optimizer hold.
    """

    first: list[AnyArray]

    def compile(self, optimizer: Any, **options: Any) -> None:
        if self.compiled:
            for variable, first in zip(self.optimizer.variables, self.first, strict=True):
                variable.assign(first)
            return
        optimizer.build(self.trainable_variables)
        self.first = [np.array(ops.convert_to_numpy(variable)) for variable in optimizer.variables]
        super().compile(optimizer=optimizer, **options)

    def restart(self, arrays: Arrays, windows: Windows, seed: int) -> None:
        """Everything that the constructor sets."""
        for name, array in {**arrays, "end": windows.full_end}.items():
            self.flat[name].assign(array)
        self.training_end.assign(windows.end)
        self.noise.state.assign(ops.convert_to_tensor([seed, 0], dtype=self.noise.state.dtype))


class KeptGraphs:
    """What stands in for `built` and for `Objective`."""

    def __init__(self) -> None:
        self.networks: dict[tuple[Plan, Shapes], RecurrentForecaster] = {}
        self.objectives: dict[tuple[int, Shapes], KeptObjective] = {}

    def built(self, member: Member, panel: Panel) -> RecurrentForecaster:
        """A network as `built` makes it; it is only good until the next one of its plan."""
        fresh = built(member, panel)
        # These are no part of a graph.
        plan = replace(member.plan, max_steps=0, learning_rate=0.0, lower_bound=None)
        network = self.networks.setdefault((plan, _shapes(fresh.get_weights())), fresh)
        network.set_weights(fresh.get_weights())
        network.plan = member.plan
        return network

    def objective(self, network: RecurrentForecaster, arrays: Arrays, windows: Windows, seed: int) -> Objective:
        if network not in self.networks.values():
            return Objective(network, arrays, windows, seed)
        key = id(network), _shapes(arrays.values())
        if key not in self.objectives:
            self.objectives[key] = KeptObjective(network, arrays, windows, seed)
        self.objectives[key].restart(arrays, windows, seed)
        return self.objectives[key]


def _shapes(arrays: Any) -> Shapes:
    return tuple(np.shape(array) for array in arrays)
