"""The forecaster: what is trained, kept as a version, and asked every night.

    panel --choose--> plans --train--> members --predict--> quantiles of every series

A few different networks forecast together; the mean of their quantiles is the forecast. A version is a
folder: `forecaster.json` (the plans, the vocabulary, the time grid) and `member-<n>.weights.h5`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Self

import keras
import numpy as np
import numpy.typing as npt

from models.baselines import seasonal_naive
from models.choices import Plan, choose, trained_as, usual_lower_bound
from models.errors import ModelError, TrainingFailed
from models.fallback import Fallback
from models.flat_arrays import Vocabulary
from models.forecast import Forecast, mean_of_quantiles
from models.member import Member
from models.panel import Panel
from models.settings import ForecastSettings, NetworkSettings, TrainingSettings
from models.training import Progress, TrainingReport, merged
from models.training_sample import training_sample
from models.version import read_description, write_description


class Forecaster:
    """Trained recurrent networks and all they need to forecast.

    Attributes:
        members: The networks, one or more.
        vocabulary: Rows of series and categories, scales of covariates; all members share it.
        forecast: What is forecast.
        choices: What was chosen where the job left it open, and why, one sentence each.
    """

    def __init__(
        self, plans: list[Plan], vocabulary: Vocabulary, forecast: ForecastSettings, choices: list[str]
    ) -> None:
        self.vocabulary, self.forecast, self.choices = vocabulary, forecast, choices
        self.members = [Member(plan, vocabulary) for plan in plans]

    @property
    def plan(self) -> Plan:
        """The plan of the first member; horizon, levels and bounds are those of all."""
        return self.members[0].plan

    @classmethod
    def fit(
        cls,
        panel: Panel,
        forecast: ForecastSettings,
        network: NetworkSettings,
        training: TrainingSettings,
        *,
        start_from: Forecaster | None = None,
        change_plan: Callable[[Plan], Plan] = lambda plan: plan,
        progress: Callable[[Progress], None] | None = None,
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
            raise TrainingFailed(
                "Every series was refused, so there is nothing to train on; see the audit for reasons."
            )
        sample = training_sample(panel, training.max_values, training.seed)
        keras.utils.set_random_seed(training.seed)
        if start_from is None:
            plans, choices = choose(panel, forecast, network, training)
            trained = cls([change_plan(plan) for plan in plans], Vocabulary.of(sample), forecast, choices)
        else:
            trained = start_from.grown(sample, training)
        report = trained._train(sample, training, start_from, progress)
        report.series, report.all_series = len(sample), len(panel)
        return (start_from if start_from is not None and report.kept_champion else trained), report

    def predict(self, panel: Panel, forecast: ForecastSettings | None = None) -> Forecast:
        """Forecast every series of a panel from its cutoff.

        Series that are refused, that were not observed within the context, or for which the network gives no
        finite value get the fallback, with the reason.

        Args:
            panel: The series.
            forecast: What the job asks for now, whose bounds hold; what was trained for where None.

        Raises:
            ModelError: where the panel's grid is not the one that was trained on.
        """
        self._require_grid(panel)
        return self.predict_shard(panel, self.fallback(panel, forecast))

    def fallback(self, panel: Panel, forecast: ForecastSettings | None = None) -> Fallback:
        """What shards of a panel cannot know by themselves: its bounds, and what fallbacks borrow from the others.

        Args:
            panel: All series.
            forecast: What the job asks for now, whose bounds hold; what was trained for where None.
        """
        bounds = self.bounds(panel, forecast or self.forecast)
        return Fallback.learn(panel, self.plan.horizon, self.plan.quantile_levels, *bounds)

    def predict_shard(self, panel: Panel, instead: Fallback) -> Forecast:
        """Forecast some series of a panel as `predict` forecasts them among all.

        Args:
            panel: Those series.
            instead: Their part of the whole panel's `fallback`.

        Raises:
            ModelError: where the panel's grid is not the one that was trained on.
        """
        self._require_grid(panel)
        levels = np.array(self.plan.quantile_levels)
        bounds = instead.lower_bound, instead.upper_bound
        reason = self._reasons(panel)
        able = np.flatnonzero(reason == "")
        quantiles = np.full((len(panel), self.plan.horizon, len(levels)), np.nan)
        if len(able):
            predicted = np.mean([member.quantiles(panel, able) for member in self.members], axis=0)
            finite = np.isfinite(predicted).all(axis=(1, 2))
            reason[able[~finite]] = "the network gave no finite value"
            # Quantiles are sums of positive distances; rounding alone could make neighbours cross.
            quantiles[able[finite]] = np.clip(np.maximum.accumulate(predicted[finite], axis=-1), *bounds)
        # Rounding must not carry the mean of equal quantiles over the bound that they lie on.
        mean = np.clip(mean_of_quantiles(quantiles, levels), *bounds)
        if left := (reason != "").nonzero()[0].tolist():
            others = panel.without(set(panel.series_ids[reason == ""].tolist()))
            quantiles[left], mean[left] = instead.of(np.array(left)).forecast(others)
        return Forecast(
            series_ids=panel.series_ids,
            quantile_levels=levels,
            quantiles=quantiles,
            mean=mean,
            baseline=seasonal_naive(panel, self.plan.horizon, panel.season_lengths[0]),
            source=np.where(reason == "", "model", "fallback"),
            reason=reason.astype(str),
        )

    def bounds(self, panel: Panel, forecast: ForecastSettings) -> tuple[float | None, float | None]:
        """What no forecast is below and above: what the job names now, else what was chosen when this was trained.

        A bound that the job named then and names no longer was no choice: the panel decides, as for a new network.
        """
        lower = self.plan.lower_bound
        if self.forecast.lower_bound is not None:
            lower = usual_lower_bound(panel)
        return lower if forecast.lower_bound is None else forecast.lower_bound, forecast.upper_bound

    @property
    def summary(self) -> str:
        """Keras's own tables of layers and numbers of weights."""
        return "\n".join(member.summary for member in self.members)

    def save(self, folder: Path) -> None:
        """Write the version's files into an existing, empty folder."""
        content = {
            "keras": keras.version(),
            "plans": [member.plan.to_dict() for member in self.members],
            "vocabulary": self.vocabulary.to_dict(),
            "forecast": self.forecast.model_dump(mode="json"),
            "choices": self.choices,
        }
        write_description(folder, content)
        for number, member in enumerate(self.members):
            member.network.save_weights(folder / _weights_file(number))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read a version.

        Raises:
            ModelError: where a file is missing or damaged, or the version is of another format.
        """
        try:
            content = read_description(folder)
            forecaster = cls(
                [Plan.from_dict(plan) for plan in content["plans"]],
                Vocabulary.from_dict(content["vocabulary"]),
                ForecastSettings.model_validate(content["forecast"]),
                content["choices"],
            )
            for number, member in enumerate(forecaster.members):
                member.build(forecaster._smallest_panel())
                member.network.load_weights(folder / _weights_file(number))
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise ModelError(
                f"The model version in {folder} cannot be read: {error}. Restore the folder, or train with "
                "`--train scratch`."
            ) from error
        return forecaster

    def grown(self, panel: Panel, training: TrainingSettings) -> Forecaster:
        """An untrained forecaster of the same networks that has rows for the panel's new series and categories too."""
        plans = [trained_as(member.plan, training) for member in self.members]
        return Forecaster(plans, self.vocabulary.grown(panel), self.forecast, self.choices)

    def _train(
        self,
        panel: Panel,
        training: TrainingSettings,
        start_from: Forecaster | None,
        progress: Callable[[Progress], None] | None,
    ) -> TrainingReport:
        """Train every member in a fair share of the time; those whose loss diverges are left out, and named."""
        began, count = time.monotonic(), len(self.members)
        reports, failures, remaining = list[TrainingReport](), list[str](), list[Member]()
        for number, member in enumerate(self.members):
            member.build(panel)
            if start_from is not None:
                member.take_weights(start_from.members[number])
            limit = (training.time_limit - (time.monotonic() - began)) / (count - number)
            try:
                report = member.train(
                    panel,
                    training,
                    mode="scratch" if start_from is None else "warm",
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
        self.members = remaining
        self.choices = self.choices + failures
        return merged(reports)

    def _smallest_panel(self) -> Panel:
        """One series of zeros, with covariates of the widths that the networks were trained on."""
        known, past = tuple(self.vocabulary.known_future), tuple(self.vocabulary.observed_past)
        numbers = tuple(self.vocabulary.static_numbers)
        count = 2 * self.plan.level_window
        return Panel(
            values=np.zeros(count, np.float32),
            offsets=np.array([0, count]),
            series_ids=np.array(["-"]),
            frequency=self.forecast.frequency,
            time_zone=self.forecast.time_zone,
            cutoff_index=count,
            season_lengths=self.plan.seasons,
            horizon=self.plan.horizon,
            static={name: np.array([""]) for name in self.vocabulary.categories},
            static_numbers=np.zeros((1, len(numbers)), np.float32) if numbers else None,
            static_number_names=numbers,
            known_future=np.zeros((count + self.plan.horizon, len(known)), np.float32) if known else None,
            known_future_names=known,
            observed_past=np.zeros((count, len(past)), np.float32) if past else None,
            observed_past_names=past,
            holidays=self.vocabulary.holidays,
        )

    def _require_grid(self, panel: Panel) -> None:
        mine = self.forecast.frequency, self.forecast.time_zone, self.plan.horizon
        if (panel.frequency, panel.time_zone, panel.horizon) != mine:
            raise ModelError(
                f"The version forecasts {mine[2]} steps of {mine[0]!r} in {mine[1]}, the panel asks for "
                f"{panel.horizon} of {panel.frequency!r} in {panel.time_zone}; train from scratch."
            )

    def _reasons(self, panel: Panel) -> npt.NDArray[np.object_]:
        """Shape (series,): why a series is left to the fallback, "" where it is not."""
        context = self.members[0].shape.context_length
        unseen = np.isnan(panel.tail(context)).all(axis=1)
        reason = np.where(unseen, f"no observed value in the last {context} steps", "").astype(object)
        for i, name in enumerate(panel.series_ids):
            reason[i] = panel.refused.get(str(name), reason[i])
        return reason


def _weights_file(number: int) -> str:
    return f"member-{number}.weights.h5"


def _of_all(progress: Callable[[Progress], None] | None, number: int, count: int) -> Callable[[Progress], None] | None:
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
