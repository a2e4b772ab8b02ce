"""Training one network: rounds of compiled steps, validation on the last windows, best weights kept.

The flat arrays lie once on the device, and a training step is fed only the numbers of its windows: Keras's own
training loop does the rest, on every backend. A round is a few dozen training steps. Between rounds the weights are
averaged and validated, and the loss is checked. The first rounds tell whether there is time for all steps, see
`time_budget`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np
from keras import ops

from models.arrays import Float32Array
from models.counted import counted
from models.errors import TrainingFailed
from models.network.features import Arrays
from models.network.windows import Tensor
from models.settings.training import TrainingSettings
from models.training.keras_network import RecurrentForecaster
from models.training.objective import Objective
from models.training.progress import OnProgress, Progress
from models.training.report import FROM_SCRATCH, Start, TrainingReport
from models.training.split import VALIDATION_BATCH, VALIDATION_WINDOWS, Origins, Windows
from models.training.time_budget import SETTLING_SHARE, Pace, steps_in_time

# What Keras's `get_weights` gives.
Snapshot = list[Float32Array]

ROUND = 25
WARM_UP_ROUNDS = 2
# The first round compiles. The fastest one after it tells the machine's speed: any machine is slow for a moment.
TIMED_ROUNDS = 3
# Weights are averaged over about this many rounds (Polyak & Juditsky 1992).
AVERAGED_ROUNDS = 4
MOST_DIVERGENCES = 3
# Once nothing more is learnt, the rate falls from this share of what it was at the best weights, over this share of the
# steps that they took, and at least so many rounds.
COOLING_RATE, COOLING_SHARE, COOLING_ROUNDS = 0.5, 0.5, 4
# A warm start begins near the end, so it takes a share of the training steps, at a share of the learning rate.
WARM_SHARE, WARM_RATE = 0.25, 0.3


def train(
    network: RecurrentForecaster,
    arrays: Arrays,
    windows: Windows,
    training: TrainingSettings,
    *,
    start: Start = FROM_SCRATCH,
    clock: Callable[[], float] = time.monotonic,
    on_progress: OnProgress | None = None,
    before_settling: Callable[[], None] = lambda: None,
) -> TrainingReport:
    """Train a built network in place, and leave the best weights in it.

    Args:
        network: Built; for a warm start it holds the champion's weights. Its plan has the training steps, the batch
            size, the optimizer and the learning rate.
        arrays: See `features.flatten`.
        windows: See `choose_windows`.
        training: The seed of the order of windows and of the dropout, the time limit of this network, and the patience.
        start: Whether the weights are fresh, and how many steps an earlier training took.
        clock: Gives seconds that only increase.
        on_progress: Called after each round.
        before_settling: Called once the network has its best weights, before it learns from the newest windows too.

    Raises:
        TrainingFailed: where the loss is not finite, however low the learning rate, or no series is long enough.
    """
    return _Course(network, arrays, windows, training, start, clock, on_progress).run(before_settling)


@dataclass(frozen=True)
class _Cooling:
    """The steps in which the learning rate falls to zero: where they begin, and the first rate, a share of the peak."""

    began: int
    steps: int
    share: float


class _Course:
    """One training from its first round to its last."""

    def __init__(
        self,
        network: RecurrentForecaster,
        arrays: Arrays,
        windows: Windows,
        training: TrainingSettings,
        start: Start,
        clock: Callable[[], float],
        on_progress: OnProgress | None,
    ) -> None:
        self.network, self.windows, self.plan = network, windows, network.plan
        self.training, self.clock, self.on_progress = training, clock, on_progress
        self.objective = Objective(network, arrays, windows, training.seed)
        self.random = np.random.default_rng(training.seed)
        self.report = TrainingReport(start.mode)
        self.steps_before = start.steps_before
        self.warm = start.mode == "warm"
        self.rate = self.plan.learning_rate * (WARM_RATE if self.warm else 1.0)
        self.planned = max(1, round(self.plan.max_steps * WARM_SHARE)) if self.warm else self.plan.max_steps
        # The steps that there is time for, and those after which training ends.
        self.in_time = self.steps = self.planned
        self.cooling: _Cooling | None = None
        self.divergences, self.is_ended = 0, False

    def run(self, before_settling: Callable[[], None]) -> TrainingReport:
        self.began = self.clock()
        report = self.report
        self.network.seed_dropout(self.training.seed)
        self._compile()
        best = self.network.get_weights()
        lowest = self._validate() if self.warm else np.inf
        report.champion_validation_loss = lowest if self.warm else None
        champion, best_step = best, 0
        waited = done = 0
        averaged, fastest = None, np.inf
        while done < self.steps:
            began, size = self._elapsed(), min(ROUND, self.steps - done)
            loss = self._round(self.windows.training, size, self._learning_rate(done))
            if not np.isfinite(loss):
                self._recover(best)
                averaged = None
                continue
            done += size
            current = self.network.get_weights()
            averaged = _average(averaged, current, done)
            self.network.set_weights(averaged)
            validation = self._validate()
            report.history.append({"step": done, "loss": loss, "validation_loss": validation})
            if validation < lowest:
                best, lowest, best_step, waited = averaged, validation, done, 0
            else:
                waited += 1
            if waited >= self.training.patience and self._cool(best_step, done):
                current = averaged = best
                report.stopped = f"{counted(waited, 'validation')} without improvement, then the rate fell to zero"
            self.network.set_weights(current)
            now = self._elapsed()
            if done > ROUND:
                fastest = min(fastest, (now - began) / size)
            if done == TIMED_ROUNDS * ROUND and self.cooling is None:
                self._keep_to_time(Pace(done, now, fastest))
            self._note_progress(done, loss, validation)
            if done < self.steps and now > self._time_before_settling:
                report.stopped = f"the time limit of {self.training.time_limit:g} s"
                self._note_end(f"{done} of {counted(self.steps, 'step')}")
                break
        else:
            if self.cooling is None:
                report.stopped = f"all {counted(done, 'step')} were made"
                report.stopped += " that there was time for" if done < self.planned else ""
        self.network.set_weights(best)
        report.steps, report.planned_steps, report.steps_in_time = done, [self.planned], [self.in_time]
        report.validation_loss = float(lowest)
        report.kept_champion = self.warm and best is champion
        before_settling()
        if not report.kept_champion:
            self._settle(best_step)
        report.seconds = self._elapsed()
        return report

    @property
    def _time_before_settling(self) -> float:
        return self.training.time_limit * (1 - SETTLING_SHARE / 2)

    def _elapsed(self) -> float:
        return self.clock() - self.began

    def _keep_to_time(self, pace: Pace) -> None:
        """Plan fewer steps where there is no time for all of them."""
        limit = self.training.time_limit
        self.in_time = self.steps = steps_in_time(self.planned, pace, limit, self.steps_before)
        if self.steps < self.planned:
            self.report.cut = (
                f"there was time for {self.steps} of {counted(self.planned, 'training step')}, because all would have "
                f"taken about {pace.seconds(self.planned):,.0f} s and training.time_limit left {limit:,.0f} s"
            )

    def _cool(self, best_step: int, done: int) -> bool:
        """Begin to cool at the best weights, if that ends earlier than all steps do; once in a training."""
        rounds = max(COOLING_ROUNDS, round(COOLING_SHARE * best_step / ROUND))
        if self.cooling is not None or done + rounds * ROUND >= self.steps:
            return False
        # The averaged weights lag behind the steps by about two rounds.
        rate = self._learning_rate(max(best_step - AVERAGED_ROUNDS // 2 * ROUND, 0))
        self.cooling = _Cooling(done, rounds * ROUND, COOLING_RATE * rate / self.rate)
        self.steps = done + rounds * ROUND
        return True

    def _note_end(self, made: str) -> None:
        """Say once that the clock ended the training. Another run of the same night may end elsewhere."""
        if not self.is_ended:
            text = f"training.time_limit ended the training after {made}, so a repeated night may give other forecasts"
            self.report.cut = "; ".join(filter(None, (self.report.cut, text)))
        self.is_ended = True

    def _compile(self) -> None:
        """A training step with a fresh optimizer."""
        optimizer = keras.optimizers.get(
            {"class_name": self.plan.optimizer, "config": {"learning_rate": self.rate, "global_clipnorm": 1.0}}
        )
        self.objective.compile(
            optimizer=optimizer,
            loss=_mean_prediction,
            steps_per_execution=ROUND,
            # XLA takes most of a minute for recurrent steps that are laid out in the graph.
            jit_compile=keras.backend.backend() == "jax",
        )
        # TensorFlow lays out the graph of a step twice where the first one makes variables.
        optimizer.build(self.objective.trainable_variables)
        self.optimizer_at_first = [ops.convert_to_numpy(each) for each in self.objective.optimizer.variables]

    def _round(self, origins: Origins, steps: int, rate: float) -> float:
        """Make some training steps; gives their mean loss."""
        if not len(origins):
            raise TrainingFailed(
                "No series is long enough to train on: a window needs a segment of the past and a step after it. "
                "Shorten network.segment or forecast.horizon, or set training.policy to never."
            )
        self.objective.optimizer.learning_rate = rate
        chosen = origins.draw(self.random, steps * self.plan.batch_size)
        nothing = np.zeros(len(chosen), np.float32)
        logs = self.objective.fit(chosen, nothing, batch_size=self.plan.batch_size, shuffle=False, verbose=0)
        return float(logs.history["loss"][-1])

    def _validate(self) -> float:
        windows = self.windows.validation
        if not len(windows):
            # No series is long enough to hold anything back: validate on windows of the training.
            windows = self.windows.training.draw(np.random.default_rng(self.training.seed), VALIDATION_WINDOWS)
        nothing = np.zeros(len(windows), np.float32)
        return float(self.objective.evaluate(windows, nothing, batch_size=VALIDATION_BATCH, verbose=0))

    def _learning_rate(self, done: int) -> float:
        """Warm-up, then a cosine down to a fiftieth, reached at the last step; a straight line to 0 while cooling."""
        if self.cooling is not None:
            return self.rate * self.cooling.share * (1 - (done - self.cooling.began) / self.cooling.steps)
        warm_up = min(1.0, (done / ROUND + 1) / (WARM_UP_ROUNDS + 1))
        return float(self.rate * warm_up * (0.02 + 0.98 * 0.5 * (1 + np.cos(np.pi * min(done / self.steps, 1.0)))))

    def _recover(self, best: Snapshot) -> None:
        """After a loss that is not finite: go back to the best weights, at a tenth of the learning rate."""
        self.divergences += 1
        if self.divergences > MOST_DIVERGENCES:
            raise TrainingFailed(
                f"The training loss was not finite {self.divergences} times, the last time at a learning rate of "
                f"{self.rate:g}. Lower training.learning_rate, or look for absurd values with `nightcast check`."
            )
        self.rate /= 10
        self.network.set_weights(best)
        # A new optimizer would need a new graph, which costs seconds.
        for variable, first in zip(self.objective.optimizer.variables, self.optimizer_at_first, strict=True):
            variable.assign(first)

    def _settle(self, best_step: int) -> None:
        """A few steps at a low rate with the newest windows too, which were held out for validation."""
        steps = round(best_step * SETTLING_SHARE)
        before = self.network.get_weights()
        self.objective.training_end.assign(self.windows.full_end)
        done = 0
        while done < steps and self._elapsed() < self.training.time_limit:
            size = min(ROUND, steps - done)
            loss = self._round(self.windows.everything, size, self.rate * 0.1 * (1 - done / steps))
            if not np.isfinite(loss):
                self.network.set_weights(before)
                return
            done += size
            self.report.steps += size
        if done < steps:
            self._note_end(f"{done} of {counted(steps, 'step')} with the newest windows")
        if done:
            self.report.stopped += f", then {counted(done, 'more step')} with the newest windows"

    def _note_progress(self, done: int, loss: float, validation: float) -> None:
        seconds = self._elapsed()
        if done <= ROUND:
            self.first_round = seconds
        elif seconds > self.first_round:
            self.report.steps_per_second = (done - ROUND) / (seconds - self.first_round)
        if self.on_progress is not None:
            left = None
            if self.report.steps_per_second:
                ahead = (self.steps * (1 + SETTLING_SHARE) - done) / self.report.steps_per_second
                left = min(ahead, max(self.training.time_limit - seconds, 0.0))
            self.on_progress(Progress(done, self.steps, loss, validation, left))


def _mean_prediction(_: Tensor, loss: Tensor) -> Tensor:
    """Keras asks for a loss of targets and predictions; here the prediction is the loss already."""
    return ops.mean(loss)


def _average(averaged: Snapshot | None, current: Snapshot, done: int) -> Snapshot:
    """A running average of the weights."""
    if averaged is None:
        return current
    keep = min(1 - 1 / AVERAGED_ROUNDS, done / (done + ROUND))
    return [keep * old + (1 - keep) * new for old, new in zip(averaged, current, strict=True)]
