"""Train a forecaster on a panel, from scratch or from the champion."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import keras

from models.errors import TrainingFailed
from models.network.choose_plan import choose
from models.network.forecaster import Forecaster
from models.network.numpy_network import Weights
from models.network.plan import Plan
from models.network.vocabulary import Vocabulary
from models.panel.panel import Panel
from models.settings.forecast import ForecastSettings
from models.settings.network import NetworkSettings
from models.settings.training import TrainingSettings
from models.training.fit_member import train_member
from models.training.progress import OnProgress, Progress
from models.training.report import TrainingReport, merged
from models.training.sample import training_sample
from models.training.time_budget import SETTLING_SHARE
from models.training.width import expected_width


def fit(
    panel: Panel,
    forecast: ForecastSettings,
    network: NetworkSettings,
    training: TrainingSettings,
    *,
    start_from: Forecaster | None = None,
    steps_before: Sequence[int] = (),
    change_plan: Callable[[Plan], Plan] = lambda plan: plan,
    on_progress: OnProgress | None = None,
) -> tuple[Forecaster, TrainingReport]:
    """Train on a panel, from scratch or from another forecaster.

    Args:
        panel: The series. Refused ones are left out, and of very many a sample is learnt from.
        forecast: What is forecast.
        network: The network, as far as the job determines it.
        training: The training, as far as the job determines it.
        start_from: The champion, for a warm start: its plans are kept, and training begins at its weights.
        steps_before: For each member, the steps that there was time for in an earlier training of the job, of the same
            mode; empty where there was none.
        change_plan: Changes each chosen plan; an ablation leaves one thing out with it.
        on_progress: Called after each round.

    Returns:
        The forecaster and how training went. Where a warm start finds nothing better, the champion itself.

    Raises:
        TrainingFailed: where no series can be trained on, or the loss of every member diverges.
    """
    panel = panel.without(panel.refused)
    if not len(panel):
        raise TrainingFailed("Every series was refused, so there is nothing to train on; see the audit for reasons.")
    sample = training_sample(panel, training.max_values, training.seed)
    keras.utils.set_random_seed(training.seed)
    if start_from is None:
        plans, choices = choose(panel, forecast, network, training)
        trained = Forecaster([change_plan(plan) for plan in plans], Vocabulary.of(sample), forecast, choices)
    else:
        trained = start_from.grown(sample, training)
    report = _train_members(trained, sample, training, _Before(start_from, steps_before), on_progress)
    if not report.kept_champion:
        trained.width = expected_width(trained, sample)
    report.series, report.all_series = len(sample), len(panel)
    return (start_from if start_from is not None and report.kept_champion else trained), report


@dataclass(frozen=True)
class _Before:
    """The forecaster that is continued, None where there is none, and the steps of an earlier training."""

    forecaster: Forecaster | None
    steps: Sequence[int]

    def weights_of(self, number: int) -> Weights | None:
        """The weights that a member starts from."""
        return None if self.forecaster is None else self.forecaster.members[number].weights

    def steps_of(self, number: int, count: int) -> int | None:
        """The steps of a member; None where other members were trained then."""
        return self.steps[number] if len(self.steps) == count else None


def _train_members(
    forecaster: Forecaster,
    panel: Panel,
    training: TrainingSettings,
    before: _Before,
    on_progress: OnProgress | None,
) -> TrainingReport:
    """Train every member in an equal share of the time. A member whose loss diverges is left out, with a sentence."""
    began, count = time.monotonic(), len(forecaster.members)
    reports, failures, remaining = [], [], []
    for number, member in enumerate(forecaster.members):
        limit = (training.time_limit - (time.monotonic() - began)) / (count - number)
        try:
            report = train_member(
                member,
                panel,
                training.model_copy(update={"time_limit": limit}),
                start_from=before.weights_of(number),
                steps_before=before.steps_of(number, count),
                on_progress=_of_all(on_progress, number, count),
            )
        except TrainingFailed as error:
            failures.append(f"member {number + 1} of {count} was left out: {error}")
            continue
        reports.append(report)
        remaining.append(member)
    if not reports:
        raise TrainingFailed(failures[0].partition(": ")[2])
    forecaster.members = remaining
    forecaster.choices = forecaster.choices + failures
    return merged(reports)


def _of_all(on_progress: OnProgress | None, number: int, count: int) -> OnProgress | None:
    """Report the progress of member `number` as a part of the progress of all members."""
    if on_progress is None:
        return None
    report = on_progress

    def report_part(part: Progress) -> None:
        left = part.seconds_left
        if left is not None:
            # A member is done when it has seen the newest windows too.
            left += (count - 1 - number) * left / (1 - part.step / part.steps / (1 + SETTLING_SHARE))
        report(replace(part, step=number * part.steps + part.step, steps=count * part.steps, seconds_left=left))

    return report_part
