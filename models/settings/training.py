"""When and how the network is trained, and when a new version is promoted."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from models.settings.base import CENTURY_DAYS, WEEK_SECONDS, Settings


class TrainingSettings(Settings):
    """When and how the network is trained."""

    policy: Literal["auto", "scratch", "warm", "never"] = Field(
        "auto",
        description="`scratch` trains a new network each night, `warm` continues the champion, `never` only loads it. "
        "`auto` decides by age, new series and loss.",
    )
    time_limit: float = Field(
        120.0,
        gt=0,
        le=WEEK_SECONDS,
        description="Seconds that training may take. Where they do not suffice for all steps, it takes fewer. At most "
        "604,800, a week.",
    )
    seed: int = Field(
        0,
        ge=0,
        le=2**31 - 1,
        description="Seed of the random numbers. The same seed, values and backend give the same forecasts. At most "
        "2,147,483,647, because generators take 32 bits.",
    )
    optimizer: Literal["adam", "adamw", "sgd", "rmsprop", "nadam", "adagrad"] = Field(
        "adam", description="Keras optimizer."
    )
    learning_rate: float | None = Field(
        None,
        ge=1e-8,
        le=100,
        description="Peak learning rate. Default: one that suits the optimizer.",
    )
    batch_size: int | None = Field(
        None,
        ge=1,
        le=65_536,
        description="Windows in one training step. Default: 64. At most 65,536 windows, and 50,000,000 of their steps, "
        "because all of them are in memory at once.",
    )
    max_steps: int | None = Field(
        None, ge=1, le=100_000_000, description="Most training steps. Default: 600, or 1,200 for large panels."
    )
    max_values: int = Field(
        10_000_000,
        ge=1,
        le=10_000_000_000,
        description="Most values that the network learns from. Of a larger panel it takes a random sample of series, "
        "drawn by the seed, with every static category in it. The other series are forecast as new ones are.",
    )
    devices: int | None = Field(
        None,
        ge=1,
        le=1_024,
        description="Number of devices that share each training step, on JAX only. Default: all GPUs that can share "
        "it equally.",
    )
    patience: int = Field(
        5,
        ge=1,
        le=1_000_000,
        description="Validations without improvement, one in each 25 steps, after which training returns to the best "
        "weights and lets the learning rate fall to zero.",
    )
    retrain_after_days: float = Field(
        30.0, gt=0, le=CENTURY_DAYS, description="Age of the champion at which `auto` trains from scratch."
    )
    warm_after_days: float = Field(
        7.0, gt=0, le=CENTURY_DAYS, description="Age of the champion at which `auto` continues its training."
    )
    new_series_share: float = Field(
        0.1, gt=0, le=1, description="Share of unknown series at which `auto` continues the champion's training."
    )
    again_after_days: float = Field(
        14.0,
        gt=0,
        le=CENTURY_DAYS,
        description="Days after which `auto` trains from scratch once more, while the loss stays degraded.",
    )


class PromotionSettings(Settings):
    """When a newly trained network takes the champion's place."""

    policy: Literal["evidence", "always"] | None = Field(
        None,
        description="`evidence` promotes it once it has been better on steps that neither network has learnt from; "
        "`always` promotes it at once. Default: `evidence`, but `always` where training.policy is `scratch`, which "
        "gives each night its own network.",
    )
    evidence: float = Field(
        20.0,
        gt=1,
        le=1e9,
        description="E-value that promotes a challenger: with 20, one that is no better is promoted in at most 5 % of "
        "cases. The same e-value for the champion retires the challenger.",
    )
    nights: int = Field(
        42,
        ge=1,
        le=3_660,
        description="Nights in the champion's shadow after which an undecided challenger is retired.",
    )
    worst_segment: float = Field(
        0.05,
        gt=0,
        le=100,
        description="Relative rise of the loss in one of monitor.segments with which a challenger is not promoted.",
    )
