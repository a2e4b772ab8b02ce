"""When and how the network is trained, and when a new one is promoted."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from models.settings.base import Settings


class TrainingSettings(Settings):
    """When and how the network is trained."""

    policy: Literal["auto", "scratch", "warm", "never"] = Field(
        "auto", description="Train anew, continue the champion, only load it, or decide by age, new series and loss."
    )
    time_limit: float = Field(
        120.0, gt=0, description="Seconds that training may take; the best weights so far are kept."
    )
    seed: int = Field(0, ge=0, description="Same seed, data and backend: same forecasts.")
    optimizer: Literal["adam", "adamw", "sgd", "rmsprop", "nadam", "adagrad"] = "adam"
    learning_rate: float | None = Field(
        None, gt=0, description="Peak learning rate; left out, a good one for the optimizer."
    )
    batch_size: int | None = Field(None, ge=1, description="Windows in one step.")
    max_steps: int | None = Field(
        None, ge=1, description="Steps of the optimizer at most; left out, by the number of values."
    )
    max_values: int = Field(
        10_000_000,
        ge=1,
        description="Values that training looks at. Of more, it takes an even sample of the series, drawn by the seed, "
        "with every static category in it; the other series are forecast as new ones are.",
    )
    devices: int | None = Field(
        None, ge=1, description="Devices that share each step, on JAX only; left out, every GPU that can."
    )
    patience: int = Field(8, ge=1, description="Validations without improvement before training stops.")
    retrain_after_days: float = Field(30.0, gt=0, description="Age of the champion at which auto trains from scratch.")
    warm_after_days: float = Field(7.0, gt=0, description="Age of the champion at which auto continues its training.")
    new_series_share: float = Field(
        0.1, gt=0, le=1, description="Share of unknown series at which auto continues training."
    )
    again_after_days: float = Field(
        14.0,
        gt=0,
        description="While the loss stays degraded, days after which auto trains from scratch once more.",
    )


class PromotionSettings(Settings):
    """When a newly trained network takes the champion's place."""

    policy: Literal["evidence", "always"] | None = Field(
        None,
        description="`evidence`: once it has been the better one on steps that neither has learnt from; `always`: at "
        "once. Left out, evidence, but always where training.policy is `scratch`: each night then has its own network.",
    )
    evidence: float = Field(
        20.0,
        gt=1,
        description="What bets on the challenger must have won: with 20, one that is no better gets there in 5 % of "
        "cases at most. The same of bets against it retires it.",
    )
    nights: int = Field(
        42, ge=1, description="Nights in the champion's shadow after which a challenger is retired undecided."
    )
    worst_segment: float = Field(
        0.05, gt=0, description="A challenger that is so much worse in one of monitor.segments is not promoted."
    )
