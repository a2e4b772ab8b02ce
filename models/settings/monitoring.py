"""When forecasts count as worse, and how their intervals are calibrated."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from models.settings.base import Settings


class MonitorSettings(Settings):
    """When a job's forecasts count as worse than usual, and which groups of series are watched."""

    segments: list[str] = Field(default=[], description="Static columns whose groups are scored apart from the whole.")
    volume_classes: bool = Field(
        default=True,
        description="Score thirds of the series by their size too, as `volume=low`, `volume=middle` and `volume=high`, "
        "where there are 30 series or more.",
    )
    signals: list[Literal["loss", "bias", "coverage", "instability"]] = Field(
        default=["loss", "bias", "coverage", "instability"],
        description="What is watched: the loss relative to the seasonal naive's, the mean error, the share of "
        "actuals inside the widest central interval, and how much forecasts change from one night to the next.",
    )
    reference_nights: int = Field(
        180, ge=28, description="Nights that tell what is usual, live or of a backtest; with fewer, 'not evaluated'."
    )
    backtest_nights: int | None = Field(
        None,
        ge=0,
        description="Past nights that a newly trained model is tried on, so that there is something to compare with "
        "from the first week on; left out, `reference_nights`; 0 for live nights alone.",
    )
    false_alarms_per_year: float = Field(
        0.6,
        gt=0,
        lt=1,
        description="Alerts a year that chance may raise in the whole job, of all signals and segments together, as "
        "past nights tell; with fewer, what is worse is found later.",
    )
    tolerance: float = Field(0.03, ge=0, description="Relative rise of the loss that does not yet count as worse.")
    min_effect: float = Field(0.05, ge=0, description="Smallest relative rise of the loss that is worth a message.")
    min_actuals: float = Field(
        0.25,
        ge=0,
        le=1,
        description="Share of the usual number of actuals with which a night is evaluated at all.",
    )
    rescore_steps: int | None = Field(
        None, ge=1, description="How many steps back late actuals are scored again; left out, one season."
    )


class CalibrationSettings(Settings):
    """Quantiles moved so that they hold as many actuals as they say."""

    enabled: bool = Field(True, description="Publish calibrated quantiles; false publishes the network's own.")
    half_life: float = Field(
        60.0, ge=7, description="Evaluations after which what was covered then counts half; fewer follow change sooner."
    )
    rate: float = Field(
        0.05,
        ge=0,
        le=1,
        description="Share of each evaluation's miss of a level that the next nights make up for, less for steps whose "
        "actuals come late; 0 leaves coverage to the half-life alone.",
    )
    hindcast_weight: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Weight of hindcast evaluations relative to live ones; 0 ignores them.",
    )
