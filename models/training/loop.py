"""Training one network: rounds of compiled steps, validation on the last windows, best weights kept.

The flat arrays lie once on the device and a step is fed nothing but the numbers of its windows, so
Keras's own training loop does the rest on every backend. A round is a few dozen steps; between rounds the
weights are averaged, validated, and the loss is looked at.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import keras
import numpy as np
from keras import ops

from models.arrays import Float32Array
from models.errors import TrainingFailed
from models.network.features import Arrays
from models.network.plan import Plan
from models.network.windows import Tensor, WindowShape
from models.training.keras_network import RecurrentForecaster
from models.training.objective import Objective
from models.training.progress import Progress
from models.training.split import VALIDATION_BATCH, VALIDATION_WINDOWS, Origins, Windows

Weights = list[Float32Array]

ROUND = 25
WARM_UP_ROUNDS = 2
# Weights are averaged over about this many rounds (Polyak & Juditsky 1992).
AVERAGED_ROUNDS = 4
# After the best weights are found, this share of as many steps again includes the newest windows.
SETTLING_SHARE = 0.2
MOST_DIVERGENCES = 3
# A rate that is still high shakes the validation loss; only after this share of the steps does patience run out.
PATIENT_SHARE = 0.5
# A warm start begins near the end: less of everything.
WARM_SHARE, WARM_RATE = 0.25, 0.3


@dataclass
class TrainingReport:
    """How training went; losses are mean pinball losses in units of the seasonal naive's error.

    Attributes:
        mode: "scratch" or "warm".
        seconds: Wall time, compilation included.
        steps: Steps of the optimizer.
        steps_per_second: Without the first round, which compiles.
        validation_loss: Of the weights that were kept.
        champion_validation_loss: Of the weights that a warm start began from, on the same windows.
        history: One entry a round: step, loss, validation_loss.
        stopped: Why training ended.
        kept_champion: Whether a warm start found nothing better than what it began from.
        series, all_series: Series that were learnt from, and those that could have been; see `training_sample`.
    """

    mode: str
    seconds: float = 0.0
    steps: int = 0
    steps_per_second: float = 0.0
    validation_loss: float = float("nan")
    champion_validation_loss: float | None = None
    history: list[dict[str, float]] = field(default_factory=list)
    stopped: str = ""
    kept_champion: bool = False
    series: int = 0
    all_series: int = 0


def train(
    network: RecurrentForecaster,
    arrays: Arrays,
    windows: Windows,
    plan: Plan,
    *,
    shape: WindowShape,
    seed: int,
    time_limit: float,
    patience: int,
    mode: str = "scratch",
    clock: Callable[[], float] = time.monotonic,
    progress: Callable[[Progress], None] | None = None,
    chosen: Callable[[], None] = lambda: None,
) -> TrainingReport:
    """Train a built network in place, and leave the best weights in it.

    Args:
        network: Built; for a warm start it holds the champion's weights.
        arrays: See `flat_arrays.flatten`.
        windows: See `choose_windows`.
        plan: Steps, batch size, optimizer and learning rate.
        shape: The window's shape.
        seed: Of the order of windows, and of what is left out.
        time_limit: Seconds.
        patience: Validations without improvement before training stops.
        mode: "scratch" or "warm".
        clock: Seconds that only go forward.
        progress: Called after each round.
        chosen: Called once the network has its best weights, before it learns from the newest windows too.

    Raises:
        TrainingFailed: where the loss is not finite, however low the learning rate.
    """
    return _Course(network, arrays, windows, plan, shape, seed, time_limit, patience, mode, clock, progress).run(chosen)


class _Course:
    """One training from its first round to its last."""

    def __init__(
        self,
        network: RecurrentForecaster,
        arrays: Arrays,
        windows: Windows,
        plan: Plan,
        shape: WindowShape,
        seed: int,
        time_limit: float,
        patience: int,
        mode: str,
        clock: Callable[[], float],
        progress: Callable[[Progress], None] | None,
    ) -> None:
        self.network, self.windows, self.plan = network, windows, plan
        self.objective = Objective(network, arrays, windows, shape, plan, seed)
        self.time_limit, self.patience, self.clock, self.progress = time_limit, patience, clock, progress
        self.seed = seed
        self.random = np.random.default_rng(seed)
        self.report = TrainingReport(mode)
        warm = mode == "warm"
        self.rate = plan.learning_rate * (WARM_RATE if warm else 1.0)
        self.steps = max(1, round(plan.max_steps * WARM_SHARE)) if warm else plan.max_steps
        self.divergences = 0

    def run(self, chosen: Callable[[], None]) -> TrainingReport:
        self.began = self.clock()
        report = self.report
        self.network.seed_dropout(self.seed)
        self._compile()
        best = self.network.get_weights()
        lowest = self._validate() if report.mode == "warm" else np.inf
        report.champion_validation_loss = lowest if report.mode == "warm" else None
        champion, best_step = best, 0
        waited = done = 0
        report.stopped = f"all {self.steps} steps were made"
        averaged = None
        while done < self.steps:
            size = min(ROUND, self.steps - done)
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
            elif done > self.steps * PATIENT_SHARE:
                waited += 1
            self.network.set_weights(current)
            self._tell(done, loss, validation)
            if self._elapsed() > self.time_limit * (1 - SETTLING_SHARE / 2):
                report.stopped = f"the time limit of {self.time_limit:g} s"
                break
            if waited >= self.patience:
                report.stopped = f"{waited} validations without improvement"
                break
        self.network.set_weights(best)
        report.steps = done
        report.validation_loss = float(lowest)
        report.kept_champion = report.mode == "warm" and best is champion
        chosen()
        if not report.kept_champion:
            self._settle(best_step)
        report.seconds = self._elapsed()
        return report

    def _elapsed(self) -> float:
        return self.clock() - self.began

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

    def _round(self, origins: Origins, steps: int, rate: float) -> float:
        """A round of steps; the mean loss."""
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
            # Nothing long enough to hold anything back: the loss of training has to do.
            windows = self.windows.training.draw(np.random.default_rng(self.seed), VALIDATION_WINDOWS)
        nothing = np.zeros(len(windows), np.float32)
        return float(self.objective.evaluate(windows, nothing, batch_size=VALIDATION_BATCH, verbose=0))

    def _learning_rate(self, done: int) -> float:
        """Warm-up, then a cosine down to a fiftieth, at the last step or when time will have run out.

        Only where time will not suffice for all steps does the clock have a say: the same seed gives the same rates
        on a slow machine and a fast one.
        """
        steps = float(self.steps)
        if done > ROUND:
            seconds_a_step = (self._elapsed() - self.first_round) / (done - ROUND)
            left = self.time_limit * (1 - SETTLING_SHARE / 2) - self._elapsed()
            steps = min(steps, done + max(left, 0.0) / max(seconds_a_step, 1e-9))
        warm = min(1.0, (done / ROUND + 1) / (WARM_UP_ROUNDS + 1))
        return float(self.rate * warm * (0.02 + 0.98 * 0.5 * (1 + np.cos(np.pi * min(done / steps, 1.0)))))

    def _recover(self, best: Weights) -> None:
        """After a loss that is not finite: back to the best weights, at a tenth of the rate."""
        self.divergences += 1
        if self.divergences > MOST_DIVERGENCES:
            raise TrainingFailed(
                f"The training loss was not finite {self.divergences} times, the last time at a learning rate of "
                f"{self.rate:g}. Lower training.learning_rate, or look for absurd values with `nightcast check`."
            )
        self.rate /= 10
        self.network.set_weights(best)
        self._compile()

    def _settle(self, best_step: int) -> None:
        """A few steps at a low rate with the newest windows too, which validation held back."""
        steps = round(best_step * SETTLING_SHARE)
        if not steps or self._elapsed() > self.time_limit:
            return
        before = self.network.get_weights()
        self.objective.training_end.assign(self.windows.full_end)
        done = 0
        while done < steps and self._elapsed() < self.time_limit:
            size = min(ROUND, steps - done)
            loss = self._round(self.windows.everything, size, self.rate * 0.1 * (1 - done / steps))
            if not np.isfinite(loss):
                self.network.set_weights(before)
                return
            done += size
            self.report.steps += size

    def _tell(self, done: int, loss: float, validation: float) -> None:
        seconds = self._elapsed()
        if self.progress is not None:
            left = min(seconds / done * (self.steps - done), max(self.time_limit - seconds, 0.0))
            self.progress(Progress(done, self.steps, loss, validation, left))
        if done <= ROUND:
            self.first_round = seconds
        elif seconds > self.first_round:
            self.report.steps_per_second = (done - ROUND) / (seconds - self.first_round)


def merged(reports: list[TrainingReport]) -> TrainingReport:
    """What several members' trainings were as one; losses are means, and `history` is the first one's."""
    first = reports[0]
    if len(reports) == 1:
        return first
    steps = sum(report.steps for report in reports)
    champions = [r.champion_validation_loss for r in reports if r.champion_validation_loss is not None]
    return TrainingReport(
        mode=first.mode,
        seconds=sum(report.seconds for report in reports),
        steps=steps,
        steps_per_second=sum(report.steps_per_second * report.steps for report in reports) / max(steps, 1),
        validation_loss=float(np.mean([report.validation_loss for report in reports])),
        champion_validation_loss=float(np.mean(champions)) if champions else None,
        history=first.history,
        stopped="; ".join(report.stopped for report in reports),
        kept_champion=all(report.kept_champion for report in reports),
    )


def _mean_prediction(_: Tensor, loss: Tensor) -> Tensor:
    """Keras asks for a loss of targets and predictions; the prediction is the loss already."""
    return ops.mean(loss)


def _average(averaged: Weights | None, current: Weights, done: int) -> Weights:
    if averaged is None:
        return current
    keep = min(1 - 1 / AVERAGED_ROUNDS, done / (done + ROUND))
    return [keep * old + (1 - keep) * new for old, new in zip(averaged, current, strict=True)]
