"""The forecaster: what is trained, kept as a version, and asked every night.

    panel --choose--> plan --flatten--> arrays --train--> weights --predict--> quantiles of every series

A version is a folder: `forecaster.json` (the plan, the vocabulary, the time grid) and `network.weights.h5`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Self

import keras
import numpy as np
import numpy.typing as npt
from keras import ops

from models.baselines import fallback, seasonal_naive
from models.choices import Plan, choose
from models.errors import ModelError
from models.flat_arrays import Arrays, Vocabulary, flatten
from models.forecast import Forecast, mean_of_quantiles
from models.network import RecurrentForecaster
from models.panel import Panel
from models.settings import ForecastSettings, NetworkSettings, TrainingSettings
from models.training import Progress, TrainingReport, train
from models.training_windows import choose_windows
from models.windows import WindowShape, gather

BATCH = 512
FORMAT = 1


class Forecaster:
    """A trained recurrent network and all it needs to forecast.

    Attributes:
        plan: Every number of the network and its training.
        vocabulary: Rows of series and categories, scales of covariates.
        forecast: What is forecast.
        choices: What was chosen where the job left it open, and why, one sentence each.
        network: The network itself.
    """

    def __init__(self, plan: Plan, vocabulary: Vocabulary, forecast: ForecastSettings, choices: list[str]) -> None:
        self.plan, self.vocabulary, self.forecast, self.choices = plan, vocabulary, forecast, choices
        self.shape = WindowShape(plan.segment, plan.steps, plan.horizon, plan.seasons, plan.cycles, plan.forking)
        self.network = RecurrentForecaster(
            shape=self.shape,
            quantile_levels=list(plan.quantile_levels),
            layers=list(plan.layers),
            head=None if plan.head is None else list(plan.head),
            head_units=plan.head_units,
            tokens=plan.tokens,
            calendar=plan.calendar,
            residual=plan.residual,
            series_rows=max(vocabulary.series.values(), default=0) + 1 if plan.series_embedding else 1,
            series_embedding=plan.series_embedding,
            categories=tuple(max(rows.values(), default=0) + 1 for rows in vocabulary.categories.values()),
            static_embedding=plan.static_embedding,
            dropout=plan.dropout,
            # Laid-out steps run in half the time on a CPU; cuDNN wants the loop.
            unroll=keras.backend.backend() == "tensorflow" and not _on_gpu(),
        )

    @classmethod
    def fit(
        cls,
        panel: Panel,
        forecast: ForecastSettings,
        network: NetworkSettings,
        training: TrainingSettings,
        *,
        start_from: Forecaster | None = None,
        progress: Callable[[Progress], None] | None = None,
    ) -> tuple[Forecaster, TrainingReport]:
        """Train on a panel, from scratch or from another forecaster.

        Args:
            panel: The series; those refused are left out.
            forecast: What is forecast.
            network: The network, as far as the job says.
            training: The training, as far as the job says.
            start_from: The champion, for a warm start: its plan is kept, its weights are where training begins.
            progress: Called now and then.

        Returns:
            The forecaster and how training went. Where a warm start finds nothing better, the champion itself.

        Raises:
            ModelError: where no series can be trained on, or the loss diverges.
        """
        panel = panel.without(panel.refused)
        if not len(panel):
            raise ModelError("Every series was refused, so there is nothing to train on; see the audit for reasons.")
        keras.utils.set_random_seed(training.seed)
        if start_from is None:
            plan, choices = choose(panel, forecast, network, training)
            trained = cls(plan, Vocabulary.of(panel), forecast, choices)
        else:
            trained = start_from.grown(panel)
        arrays = trained._flatten(panel)
        trained._build(arrays)
        if start_from is not None:
            trained._take_weights(start_from)
        report = train(
            trained.network,
            arrays,
            choose_windows(panel.offsets, panel.observed, trained.plan),
            trained.plan,
            shape=trained.shape,
            seed=training.seed,
            time_limit=training.time_limit,
            patience=training.patience,
            mode="scratch" if start_from is None else "warm",
            progress=progress,
        )
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
        mine = self.forecast.frequency, self.forecast.time_zone, self.plan.horizon
        if (panel.frequency, panel.time_zone, panel.horizon) != mine:
            raise ModelError(
                f"The version forecasts {mine[2]} steps of {mine[0]!r} in {mine[1]}, the panel asks for "
                f"{panel.horizon} of {panel.frequency!r} in {panel.time_zone}; train from scratch."
            )
        levels = np.array(self.plan.quantile_levels)
        bounds = self.bounds(panel, forecast or self.forecast)
        quantiles, mean = fallback(panel, self.plan.horizon, levels, *bounds)
        reason = self._reasons(panel)
        able = np.flatnonzero(reason == "")
        if len(able):
            predicted = self._quantiles(panel, able)
            finite = np.isfinite(predicted).all(axis=(1, 2))
            reason[able[~finite]] = "the network gave no finite value"
            able = able[finite]
            quantiles[able] = np.clip(predicted[finite], *bounds)
            # Rounding must not carry the mean of equal quantiles over the bound that they lie on.
            mean[able] = np.clip(mean_of_quantiles(quantiles[able], levels), *bounds)
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
            lower = None if (panel.values < 0).any() else 0.0
        return lower if forecast.lower_bound is None else forecast.lower_bound, forecast.upper_bound

    @property
    def summary(self) -> str:
        """Keras's own table of layers and numbers of weights."""
        lines: list[str] = []
        self.network.summary(print_fn=lines.append, line_length=100)
        return "\n".join(lines)

    def save(self, folder: Path) -> None:
        """Write the version's files into an existing, empty folder."""
        content = {
            "format": FORMAT,
            "keras": keras.version(),
            "plan": self.plan.to_dict(),
            "vocabulary": self.vocabulary.to_dict(),
            "forecast": self.forecast.model_dump(mode="json"),
            "choices": self.choices,
        }
        (folder / "forecaster.json").write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
        self.network.save_weights(folder / "network.weights.h5")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read a version.

        Raises:
            ModelError: where a file is missing or damaged.
        """
        try:
            content = json.loads((folder / "forecaster.json").read_text(encoding="utf-8"))
            forecaster = cls(
                Plan.from_dict(content["plan"]),
                Vocabulary.from_dict(content["vocabulary"]),
                ForecastSettings.model_validate(content["forecast"]),
                content["choices"],
            )
            forecaster._build(forecaster._smallest_arrays())
            forecaster.network.load_weights(folder / "network.weights.h5")
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise ModelError(
                f"The model version in {folder} cannot be read: {error}. Restore the folder, or train with "
                "`--train scratch`."
            ) from error
        return forecaster

    def grown(self, panel: Panel) -> Forecaster:
        """An untrained forecaster of the same plan that also has rows for the panel's new series and categories."""
        return Forecaster(self.plan, self.vocabulary.grown(panel), self.forecast, self.choices)

    def _take_weights(self, other: Forecaster) -> None:
        """Copy weights; a row that the other has not starts as its row for unknown ones."""
        copied = []
        for mine, theirs in zip(self.network.get_weights(), other.network.get_weights(), strict=True):
            if mine.shape != theirs.shape:
                missing = np.repeat(theirs[:1], len(mine) - len(theirs), axis=0)
                theirs = np.concatenate([theirs, missing])
            copied.append(theirs)
        self.network.set_weights(copied)

    def _build(self, arrays: Arrays) -> None:
        """Make the weights, by one call on one window."""
        flat = {name: ops.convert_to_tensor(array) for name, array in arrays.items()}
        first = ops.convert_to_tensor(np.zeros(1, np.int32))
        self.network(gather(flat, first, first, self.shape, origins=1))

    def _flatten(self, panel: Panel) -> Arrays:
        windows = {"level_window": self.plan.level_window, "scale_window": self.plan.scale_window}
        return flatten(panel, self.vocabulary, **windows)

    def _smallest_arrays(self) -> Arrays:
        """Arrays of one series, of the widths that the network was trained on."""
        known, past = tuple(self.vocabulary.known_future), tuple(self.vocabulary.observed_past)
        count = 2 * self.plan.level_window
        panel = Panel(
            values=np.zeros(count, np.float32),
            offsets=np.array([0, count]),
            series_ids=np.array(["-"]),
            frequency=self.forecast.frequency,
            time_zone=self.forecast.time_zone,
            cutoff_index=count,
            season_lengths=self.plan.seasons,
            horizon=self.plan.horizon,
            static={name: np.array([""]) for name in self.vocabulary.categories},
            known_future=np.zeros((count + self.plan.horizon, len(known)), np.float32) if known else None,
            known_future_names=known,
            observed_past=np.zeros((count, len(past)), np.float32) if past else None,
            observed_past_names=past,
        )
        return self._flatten(panel)

    def _reasons(self, panel: Panel) -> npt.NDArray[np.object_]:
        """Shape (series,): why a series is left to the fallback, "" where it is not."""
        context = self.shape.context_length
        unseen = np.isnan(panel.tail(context)).all(axis=1)
        reason = np.where(unseen, f"no observed value in the last {context} steps", "").astype(object)
        for i, name in enumerate(panel.series_ids):
            reason[i] = panel.refused.get(str(name), reason[i])
        return reason

    def _quantiles(self, panel: Panel, able: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Quantiles of some series in their own units, shape (series, horizon, level)."""
        arrays = self._flatten(panel)
        index = np.stack([able, panel.offsets[1:][able] - 1], axis=1).astype(np.int32)
        flat = {name: ops.convert_to_tensor(array) for name, array in arrays.items()}
        # Called as it is: a graph of all recurrent steps takes longer to make than most nights to forecast.
        batches = [
            self.network(gather(flat, part[:, 0], part[:, 1], self.shape, origins=1))
            for part in np.array_split(index, -(-len(index) // BATCH))
        ]
        scaled = np.concatenate([ops.convert_to_numpy(batch)[:, 0] for batch in batches]).astype(np.float64)
        place = index[:, 1]
        level, scale = arrays["level"][place].astype(np.float64), arrays["scale"][place].astype(np.float64)
        return level[:, None, None] + scale[:, None, None] * scaled


def _on_gpu() -> bool:
    return bool(keras.distribution.list_devices("gpu"))
