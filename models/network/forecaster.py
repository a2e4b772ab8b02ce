"""The forecaster: it is trained, stored as a version, and forecasts every night.

    panel --choose--> plans --fit (training/fit.py)--> members --predict--> quantiles of every series

A few different networks forecast together; the mean of their quantiles is the forecast. A version is a folder:
`forecaster.json` (the plans, the vocabulary, the time grid) and `member-<n>.npz` (the weights by their paths in
Keras). Nothing here needs Keras, so a night that only forecasts need not wait for it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from copy import copy
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from models.array_files import load_arrays
from models.arrays import FloatArray, IntArray
from models.baselines.fallback import Fallback
from models.baselines.seasonal_naive import seasonal_naive
from models.errors import DamagedVersion, ModelError
from models.network.choose_plan import trained_as, usual_lower_bound
from models.network.features import Arrays, Unseen
from models.network.member import Member
from models.network.plan import Plan
from models.network.version_file import read_description, write_description
from models.network.vocabulary import Vocabulary
from models.panel.forecast import Forecast, mean_of_quantiles
from models.panel.panel import Panel
from models.settings.forecast import ForecastSettings
from models.settings.training import TrainingSettings


class Forecaster:
    """Trained recurrent networks and all they need to forecast.

    Attributes:
        members: The networks, one or more.
        vocabulary: Rows of series and categories, scales of covariates; all members share it.
        forecast: The settings of the forecast that it was trained for.
        choices: One sentence for each number that the job left open: what was chosen, and why.
        width: How many times as far from the median as the networks say the quantiles lie; see `training/width.py`.
    """

    def __init__(
        self, plans: list[Plan], vocabulary: Vocabulary, forecast: ForecastSettings, choices: list[str]
    ) -> None:
        self.vocabulary, self.forecast, self.choices = vocabulary, forecast, choices
        self.members = [Member(plan, vocabulary) for plan in plans]
        self.width = 1.0

    @property
    def plan(self) -> Plan:
        """The plan of the first member; all members share its horizon, quantile levels and bounds."""
        return self.members[0].plan

    @property
    def look_back(self) -> int:
        """How many steps before the cutoff a forecast depends on."""
        return max(member.look_back for member in self.members)

    def predict(self, panel: Panel, forecast: ForecastSettings | None = None) -> Forecast:
        """Forecast every series of a panel from its cutoff.

        A series gets the fallback, with the reason, where the panel refuses it, where it was not observed within the
        context, or where the network gives no finite value.

        Args:
            panel: The series.
            forecast: The job's settings of now, whose bounds hold; None for those of the training.

        Raises:
            ModelError: where the panel has another grid than the training had.
        """
        self._require_grid(panel)
        return self.predict_shard(panel, self.fallback(panel, forecast))

    def fallback(self, panel: Panel, forecast: ForecastSettings | None = None) -> Fallback:
        """The fallback of a whole panel: its bounds, and what a series borrows from the others.

        A shard of the panel cannot compute it alone.

        Args:
            panel: All series.
            forecast: The job's settings of now, whose bounds hold; None for those of the training.
        """
        bounds = self.bounds(panel, forecast or self.forecast)
        return Fallback.learn(panel, self.plan.horizon, self.plan.quantile_levels, *bounds)

    def predict_shard(self, panel: Panel, fallback: Fallback) -> Forecast:
        """Forecast some series of a panel, with the same result as `predict` for all of them.

        Args:
            panel: Those series.
            fallback: Their part of the whole panel's `fallback`.

        Raises:
            ModelError: where the panel has another grid than the training had.
        """
        self._require_grid(panel)
        quantile_levels = np.array(self.plan.quantile_levels)
        bounds = fallback.lower_bound, fallback.upper_bound
        reason = self._reasons(panel)
        able = np.flatnonzero(reason == "")
        quantiles = np.full((len(panel), self.plan.horizon, len(quantile_levels)), np.nan)
        if len(able):
            predicted = self._together([member.quantiles(panel, able) for member in self.members])
            finite = np.isfinite(predicted).all(axis=(1, 2))
            reason[able[~finite]] = "the network gave no finite value"
            # Quantiles are sums of positive distances; only rounding could make neighbours cross.
            quantiles[able[finite]] = np.clip(np.maximum.accumulate(predicted[finite], axis=-1), *bounds)
        # Rounding must not carry the mean of equal quantiles beyond the bound that they lie on.
        mean = np.clip(mean_of_quantiles(quantiles, quantile_levels), *bounds)
        if left := (reason != "").nonzero()[0].tolist():
            others = panel.without(set(panel.series_ids[reason == ""].tolist()))
            quantiles[left], mean[left] = fallback.of(np.array(left)).forecast(others)
        return Forecast(
            series_ids=panel.series_ids,
            quantile_levels=quantile_levels,
            quantiles=quantiles,
            mean=mean,
            baseline=seasonal_naive(panel, self.plan.horizon, panel.season_lengths[0]),
            source=np.where(reason == "", "model", "fallback"),
            reason=reason.astype(str),
        )

    def blind_to(self, unseen: Collection[Unseen]) -> Forecaster:
        """The same networks, which forecast a panel without some inputs of the time grid; see `without_inputs`."""
        return self._of([member.blind_to(unseen) for member in self.members])

    def beside(self, longest: int) -> Forecaster:
        """The same networks, for some series of a panel whose longest series has so many steps; see `Member.beside`."""
        return self._of([member.beside(longest) for member in self.members])

    def flatten(self, panel: Panel) -> list[Arrays]:
        """The arrays that each member reads, for `quantiles_at`: laid out once, for origins at every step."""
        return [member.flatten(panel) for member in self.members]

    def quantiles_at(
        self,
        panel: Panel,
        flat: Sequence[Arrays],
        series: IntArray,
        origin: IntArray,
        bounds: tuple[float | None, float | None],
    ) -> FloatArray:
        """Mean quantiles of the members from origins in the past; not finite where a member gives no finite value.

        Args:
            panel: The series.
            flat: From `flatten`.
            series: Shape (window,).
            origin: Shape (window,), flat positions.
            bounds: From `bounds`.

        Returns:
            Shape (window, horizon, level); quantiles do not cross.
        """
        index = series.astype(np.int32), origin.astype(np.int32)
        members = zip(self.members, flat, strict=True)
        found = self._together([member.quantiles_at(panel, arrays, *index) for member, arrays in members])
        return np.clip(np.maximum.accumulate(found, axis=-1), *bounds)

    def bounds(self, panel: Panel, forecast: ForecastSettings) -> tuple[float | None, float | None]:
        """The lower and upper bound of forecasts: the job's bounds of now, else the bound chosen at the training.

        Where the job named a lower bound at the training and names none now, the panel decides, as for a new network.
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
        """Write the files of the version into an existing, empty folder."""
        content = {
            "keras": installed_version("keras"),
            "plans": [member.plan.to_dict() for member in self.members],
            "vocabulary": self.vocabulary.to_dict(),
            "forecast": self.forecast.model_dump(mode="json"),
            "choices": self.choices,
            "summaries": [member.summary for member in self.members],
            "width": self.width,
        }
        write_description(folder, content)
        for number, member in enumerate(self.members):
            with (folder / _weights_file(number)).open("wb") as file:
                np.savez(file, allow_pickle=False, **member.weights)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read a version.

        Raises:
            DamagedVersion: where a file is missing or damaged, or the version is of another format.
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
                member.summary = content["summaries"][number]
                member.weights = load_arrays(folder / _weights_file(number))
            forecaster.width = float(content["width"])
            if not forecaster.members:
                raise ValueError("it holds no network")
        except (OSError, AttributeError, LookupError, TypeError, ValueError, RecursionError) as error:
            raise DamagedVersion(
                f"The model version in {folder} cannot be read: {error}. Restore the folder, or run once with "
                "training scratch (--train scratch).",
                str(error),
            ) from error
        return forecaster

    def grown(self, panel: Panel, training: TrainingSettings) -> Forecaster:
        """An untrained forecaster of the same networks, with rows for the panel's new series and categories too."""
        values = int(panel.observed_counts.sum())
        plans = [trained_as(member.plan, training, values) for member in self.members]
        return Forecaster(plans, self.vocabulary.grown(panel), self.forecast, self.choices)

    def before_settling(self) -> Forecaster:
        """Just after training: the same forecaster before it learnt from the newest, held-out steps."""
        before = Forecaster([member.plan for member in self.members], self.vocabulary, self.forecast, self.choices)
        for member, settled in zip(before.members, self.members, strict=True):
            member.weights = settled.before_settling
        before.width = self.width
        return before

    def _of(self, members: list[Member]) -> Forecaster:
        other = copy(self)
        other.members = members
        return other

    def _together(self, quantiles: list[FloatArray]) -> FloatArray:
        """The mean of the members' quantiles, each of shape (window, horizon, level), as wide as is to be expected."""
        mean = np.mean(quantiles, axis=0)
        median = mean[..., [self.plan.quantile_levels.index(0.5)]]
        return np.asarray(median + self.width * (mean - median))

    def _require_grid(self, panel: Panel) -> None:
        asked = panel.frequency, panel.time_zone, panel.horizon
        if asked != (self.forecast.frequency, self.forecast.time_zone, self.plan.horizon):
            raise ModelError(
                f"The version forecasts {self.plan.horizon} steps of {self.forecast.frequency!r} in "
                f"{self.forecast.time_zone}, the panel asks for {panel.horizon} of {panel.frequency!r} in "
                f"{panel.time_zone}; train from scratch."
            )

    def _reasons(self, panel: Panel) -> npt.NDArray[np.object_]:
        """Shape (series,): why a series gets the fallback; "" where it does not."""
        context = self.plan.window.context_length
        unseen = np.isnan(panel.tail(context)).all(axis=1)
        reason = np.where(unseen, f"no observed value in the last {context} steps", "").astype(object)
        for i, name in enumerate(panel.series_ids):
            reason[i] = panel.refused.get(str(name), reason[i])
        return reason


def _weights_file(number: int) -> str:
    return f"member-{number}.npz"
