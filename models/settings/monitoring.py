"""When forecasts count as degraded, how quantiles are calibrated, and which actuals are anomalies."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator

from models.settings.base import Name, Settings


class MonitorSettings(Settings):
    """When a job's forecasts count as worse than usual, and which groups of series are monitored."""

    segments: list[Name] = Field(
        default=[],
        max_length=100,
        description="Static columns. Each group of series with the same value is scored separately.",
    )
    volume_classes: bool = Field(
        default=True,
        description="Score thirds of the series by their size too, as `volume=low`, `volume=middle` and `volume=high`. "
        "It takes 30 series.",
    )
    signals: list[Literal["loss", "bias", "coverage", "instability"]] = Field(
        default=["loss", "bias", "coverage", "instability"],
        max_length=4,
        description="What is monitored. `loss`: the loss relative to the seasonal naive. `bias`: the mean error. "
        "`coverage`: the share of actuals inside the widest central interval. `instability`: how much forecasts change "
        "from one night to the next.",
    )
    reference_nights: int = Field(
        180,
        ge=28,
        le=3_660,
        description="Nights, live or hindcast, in the reference sample that a night is compared with. With fewer, the "
        "state is 'not evaluated'. At most 3,660, ten years of days, because older nights say little about tonight.",
    )
    hindcast_nights: int | None = Field(
        None,
        ge=0,
        le=3_660,
        description="Number of past nights that a newly trained model is hindcast on, so that there is a reference "
        "sample from the first week on. 0 uses live nights only. Default: `reference_nights`.",
    )
    false_alarms_per_year: float = Field(
        0.6,
        ge=0.001,
        lt=1,
        description="Expected false alarms per year for the whole job, over all signals and segments. Lower values "
        "delay detection. At least 0.001, one in a thousand years.",
    )
    tolerance: float = Field(
        0.03, ge=0, le=100, description="Relative rise of the loss up to which forecasts do not count as worse."
    )
    min_effect: float = Field(
        0.05, ge=0, le=100, description="Smallest relative rise of the loss that raises an alert."
    )
    min_actuals: float = Field(
        0.25,
        ge=0,
        le=1,
        description="Smallest share of the usual number of actuals with which a night is evaluated.",
    )
    rescore_steps: int | None = Field(
        None,
        ge=1,
        le=1_000_000,
        description="How many steps back late actuals are scored again. Default: a season.",
    )


class CalibrationSettings(Settings):
    """How quantiles are moved so that as many actuals lie below them as their levels promise."""

    enabled: bool = Field(True, description="Publish calibrated quantiles; `false` publishes the network's own.")
    half_life: float = Field(
        60.0,
        ge=7,
        le=100_000,
        description="Number of evaluations after which an evaluation has half its weight. Lower values follow changes "
        "sooner.",
    )
    rate: float = Field(
        0.05,
        ge=0,
        le=1,
        description="Share of each evaluation's coverage error that the next nights correct; less for steps whose "
        "actuals arrive late. 0 leaves all correction to `half_life`.",
    )
    hindcast_weight: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Weight of hindcast evaluations relative to live ones; 0 ignores them.",
    )


class AnomalySettings(Settings):
    """Which actuals count as anomalies: those that lie where forecasts did not expect them."""

    enabled: bool = Field(True, description="Judge actuals; `false` judges none.")
    rate: float = Field(
        0.001,
        gt=0,
        lt=1,
        description="Share of actuals that may be anomalies although nothing happened: 0.001 is one in a thousand. "
        "What is an anomaly follows past actuals, so that this share is held.",
    )

    @field_validator("rate", mode="before")
    @classmethod
    def _some_but_not_all(cls, rate: Any) -> Any:
        if isinstance(rate, int | float) and rate == 0:
            raise ValueError("with 0 no actual is ever an anomaly; give a small share such as 0.001, or enabled: false")
        if isinstance(rate, int | float) and rate == 1:
            raise ValueError("with 1 every actual is an anomaly; give a small share such as 0.001")
        return rate
