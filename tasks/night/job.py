"""The job: all parts of a job file."""

from __future__ import annotations

import math
import re
from typing import Any, Self

import numpy as np
from pydantic import Field, field_validator, model_validator

from models.hierarchy.aggregation_levels import AggregationLevels
from models.settings.audit import AuditSettings
from models.settings.base import Address, Settings
from models.settings.forecast import ForecastSettings
from models.settings.hierarchy import HierarchySettings
from models.settings.monitoring import AnomalySettings, CalibrationSettings, MonitorSettings
from models.settings.network import NetworkSettings
from models.settings.schedule import ScheduleSettings
from models.settings.training import PromotionSettings, TrainingSettings
from sql.engine.url import holds_password
from sql.source.settings import Source
from tasks.settings import Notify, Output, Runner

MOST_STEPS_AT_ONCE = 50_000_000


class Job(Settings):
    """One nightly forecast: where history comes from, what is forecast, and where it goes."""

    name: str = Field(
        pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=100, description="Lower-case name, part of every row and path."
    )
    replaces: Address | None = Field(
        None,
        description="Path of the job file that had this name before, if this one takes its place. It may hold `*`. A "
        "run that needs it says so.",
    )
    source: Source
    forecast: ForecastSettings
    audit: AuditSettings = AuditSettings()
    hierarchy: HierarchySettings = HierarchySettings()
    network: NetworkSettings = NetworkSettings()
    calibration: CalibrationSettings = CalibrationSettings()
    training: TrainingSettings = TrainingSettings()
    promotion: PromotionSettings = PromotionSettings()
    runner: Runner = Runner()
    schedule: ScheduleSettings = ScheduleSettings()
    output: Output = Output()
    monitor: MonitorSettings = MonitorSettings()
    anomalies: AnomalySettings = AnomalySettings()
    notify: Notify = Notify()

    @field_validator("name")
    @classmethod
    def _name_stays_text(cls, name: str) -> str:
        if re.fullmatch(r"[\d_e-]+|0x[\da-f]+|true|false|inf|infinity|nan|null", name):
            raise ValueError(
                f"readers of the Parquet files would take {name!r} for a number, a date or the like, because the name "
                "is part of their path; add a word, such as sales"
            )
        return name

    @field_validator("network", mode="before")
    @classmethod
    def _auto_is_the_default(cls, value: Any) -> Any:
        return {} if value == "auto" else value

    @model_validator(mode="after")
    def _frequency_has_a_grid(self) -> Self:
        _ = self.forecast.grid
        return self

    @model_validator(mode="after")
    def _training_step_fits_memory(self) -> Self:
        windows, steps = self.training.batch_size or 1, self.network.context_length or 1
        if windows * steps > MOST_STEPS_AT_ONCE:
            raise ValueError(
                f"training.batch_size {windows:,} times network.context_length {steps:,} is {windows * steps:,} steps "
                f"in memory at once; the most are {MOST_STEPS_AT_ONCE:,}. Lower one of them"
            )
        return self

    @model_validator(mode="after")
    def _holds_no_password(self) -> Self:
        urls = {"source.url": self.source.url, "output.url": self.output.url}
        for place, other in enumerate(self.source.known_future_from):
            urls[f"source.known_future_from.{place}.url"] = other.url or ""
        for where, url in urls.items():
            if holds_password(url):
                raise ValueError(
                    f"{where} holds a password; write ${{NAME}} instead, and set that environment variable"
                )
        for where, folder in (("output.parquet", self.output.parquet), ("output.versions", self.output.versions)):
            if re.match(r"[\w+.-]+://[^@]*:[^@]*@", folder):
                raise ValueError(
                    f"{where} holds a key; leave it out, and set the variables of the environment from which the "
                    "storage reads its keys, such as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
                )
        return self

    @model_validator(mode="after")
    def _missing_future_is_of_known_columns(self) -> Self:
        policy, known = self.forecast.missing_future, self.source.known_ahead
        unknown = [column for column in policy if column not in known] if isinstance(policy, dict) else []
        if unknown:
            raise ValueError(
                f"forecast.missing_future names {unknown}; the columns of source.known_future and "
                f"source.known_future_from are {known}"
            )
        return self

    @model_validator(mode="after")
    def _segments_are_static_columns(self) -> Self:
        unknown = [column for column in self.monitor.segments if column not in self.source.static]
        if unknown:
            raise ValueError(
                f"monitor.segments names {unknown}, which are not in source.static; "
                f"source.static has {self.source.static}"
            )
        return self

    @model_validator(mode="after")
    def _aggregates_keep_columns_of_the_id(self) -> Self:
        _ = self.aggregation_levels
        return self

    @model_validator(mode="after")
    def _nights_are_kept_until_they_are_judged(self) -> Self:
        keep, needed = self.output.keep_days, days_to_judge(self.forecast)
        if keep is not None and keep < needed:
            raise ValueError(
                f"output.keep_days is {keep}, but {self.forecast.horizon} steps of {self.forecast.frequency!r} reach "
                f"{needed} days ahead, so the last ones would never be scored; give {needed} or more"
            )
        return self

    def on_grid_of(self, step: str | None) -> Job:
        """The same job, its time grid through a step in local time; None leaves it as it is."""
        return self.model_copy(update={"forecast": self.forecast.on_grid_of(step)})

    @property
    def aggregation_levels(self) -> AggregationLevels:
        """The aggregation levels that are forecast beside the series; none where the job names none."""
        return AggregationLevels.of(self.source.series_id, self.hierarchy.aggregates, self.hierarchy.method)

    @property
    def nominal_coverage(self) -> float | None:
        """The share of actuals that the widest interval is calibrated to contain; None where nothing is calibrated."""
        low, high = min(self.forecast.quantile_levels), max(self.forecast.quantile_levels)
        return high - low if self.calibration.enabled and high > low else None

    @property
    def promotion_settings(self) -> PromotionSettings:
        """`promotion` with its policy: `always` where the job trains from scratch every night, else `evidence`."""
        policy = "always" if self.training.policy == "scratch" else "evidence"
        return self.promotion.model_copy(update={"policy": self.promotion.policy or policy})


def days_to_judge(forecast: ForecastSettings) -> int:
    """The number of days until the actual of a night's last step may have arrived. The night is needed until then.

    >>> days_to_judge(ForecastSettings(frequency="D", horizon=28))
    28
    """
    # No sequence of months is longer than that from July 2023 on, which has a February of 29 days.
    grid = forecast.grid
    first = grid.to_index(np.array(["2023-07-01"], "M8[us]"))[0]
    begin, end = grid.to_utc(first + np.array([0, forecast.horizon]))
    return math.ceil(float((end - begin) / np.timedelta64(1, "D")))
