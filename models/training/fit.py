"""Train a forecaster on a panel, from scratch or from the champion."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import keras

from models.errors import TrainingFailed
from models.network.features import Vocabulary
from models.network.forecaster import Forecaster
from models.network.plan import Plan, choose
from models.panel.panel import Panel
from models.settings.forecast import ForecastSettings
from models.settings.network import NetworkSettings
from models.settings.training import TrainingSettings
from models.training.fit_member import train_member
from models.training.loop import TrainingReport, merged
from models.training.progress import Progress
from models.training.sample import training_sample

Told = Callable[[Progress], None]


def fit(
    panel: Panel,
    forecast: ForecastSettings,
    network: NetworkSettings,
    training: TrainingSettings,
    *,
    start_from: Forecaster | None = None,
    change_plan: Callable[[Plan], Plan] = lambda plan: plan,
    progress: Told | None = None,
) -> tuple[Forecaster, TrainingReport]:
    """Train on a panel, from scratch or from another forecaster.

    Args:
        panel: The series; those refused are left out, and of very many a sample is learnt from.
        forecast: What is forecast.
        network: The network, as far as the job says.
        training: The training, as far as the job says.
        start_from: The champion, for a warm start: its plans are kept, its weights are where training begins.
        change_plan: Overrules what was chosen; how an ablation leaves one thing out.
        progress: Called now and then.

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
    report = _train(trained, sample, training, start_from, progress)
    report.series, report.all_series = len(sample), len(panel)
    return (start_from if start_from is not None and report.kept_champion else trained), report


def _train(
    forecaster: Forecaster,
    panel: Panel,
    training: TrainingSettings,
    start_from: Forecaster | None,
    progress: Told | None,
) -> TrainingReport:
    """Train every member in a fair share of the time; those whose loss diverges are left out, and named."""
    began, count = time.monotonic(), len(forecaster.members)
    reports, failures, remaining = [], [], []
    for number, member in enumerate(forecaster.members):
        limit = (training.time_limit - (time.monotonic() - began)) / (count - number)
        try:
            report = train_member(
                member,
                panel,
                training,
                start_from=None if start_from is None else start_from.members[number].weights,
                time_limit=limit,
                progress=_of_all(progress, number, count),
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


def _of_all(progress: Told | None, number: int, count: int) -> Told | None:
    """Tell the progress of one member as part of all of them."""
    if progress is None:
        return None
    tell = progress

    def told(part: Progress) -> None:
        ahead = (count - 1 - number) * part.seconds_left / max(1 - part.step / part.steps, 1e-9)
        tell(
            replace(
                part,
                step=number * part.steps + part.step,
                steps=count * part.steps,
                seconds_left=part.seconds_left + (ahead if part.step < part.steps else 0.0),
            )
        )

    return told
