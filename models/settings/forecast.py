"""What is forecast: the time grid, how far ahead, which quantile levels, which bounds."""

from __future__ import annotations

import re
from datetime import date
from itertools import pairwise
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import Field, field_validator, model_validator

from models.calendar.frequency import DAYS_OF_YEAR, WeekLabel
from models.calendar.grid import TimeGrid
from models.calendar.public_holidays import check_place
from models.calendar.zones import zone_names
from models.settings.base import FINEST_LEVEL, MOST_NAMES, Name, QuantileLevel, SeasonLength, Settings

MissingFuture = Literal["mean", "last", "zero", "fallback", "error"]

_DAY_OR_TIME = re.compile(r"\d{4}(-\d\d(-\d\d([T ]\d\d(:\d\d(:\d\d(\.\d{1,6})?)?)?)?)?)?")
_OFFSET = re.compile(r"T.*(Z|[+-]\d\d:?\d*)$| .*(Z|[+-]\d\d:?\d*)$")

# Values are float32, whose range ends a little above.
LARGEST = 3.4e38
MOST_YEARS = 100
MOST_OUTPUTS = 100_000
FIRST_YEAR, LAST_YEAR = 1700, 2250


class ForecastSettings(Settings):
    """What is forecast: the time grid, how far ahead, and which quantile levels."""

    frequency: str = Field(
        max_length=40,
        description="Step of the time grid: a pandas offset alias such as h, D, W-SUN or MS. At most 10 years.",
    )
    horizon: int = Field(
        ge=1,
        le=10_000,
        description="Number of steps ahead. At most 10,000 steps, 100 years, and 100,000 steps times quantile levels, "
        "because the network has an output for each.",
    )
    time_zone: Name = Field("UTC", description="Time zone of the source's timestamps that name none, and of its days.")
    week_label: WeekLabel = Field(
        "last_day",
        description="The day of a week that names it. With `last_day`, W-SUN is Monday to Sunday; with `first_day` it "
        "is Sunday to Saturday. Set `first_day` with W-MON where the source has date_trunc('week').",
    )
    origin: str | None = Field(
        None,
        max_length=40,
        description="One step of the grid, in local time, where a frequency has several grids: 2W-FRI, 8h, or D from "
        "six in the morning. Default: 2W-FRI, 8h and other multiples take the grid of nearly all timestamps.",
    )
    season_lengths: list[SeasonLength] | None = Field(
        None,
        max_length=10,
        description="Seasons in steps, shortest first. Default: they follow from the frequency. At most 10 seasons of "
        "1,000,000 steps, because a value is kept for each step of a season.",
    )
    holidays: list[Name] = Field(
        [],
        max_length=300,
        description="Countries, or regions of them, whose public holidays the network sees, such as ES, ES-MD or "
        "[US-CA, US-NY].",
    )
    missing_future: MissingFuture | Annotated[dict[Name, MissingFuture], Field(max_length=MOST_NAMES)] = Field(
        "mean",
        description="What to do about missing known-future values. `mean`, `last` and `zero` replace one by the mean "
        "of the column, the last known value of the series, or 0; `last` and `zero` fill gaps in the past too. "
        "`fallback` forecasts the series with the fallback; `error` stops the night. One word for all columns, or a "
        "mapping from column to word.",
    )
    quantile_levels: list[QuantileLevel] = Field(
        default=[0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95],
        min_length=1,
        max_length=200,
        description="Quantile levels to forecast, each in (0, 1). At most 200 levels, at least 0.0001 from 0, from 1 "
        "and from one another, because rarer values cannot be learnt from a history.",
    )
    lower_bound: float | None = Field(
        None, description="No forecast is below it. Default: 0 if the network was trained on no negative value."
    )
    upper_bound: float | None = Field(None, description="No forecast is above it.")
    min_history: int = Field(3, ge=1, le=10_000_000, description="Series with fewer observed values get the fallback.")

    @field_validator("frequency")
    @classmethod
    def _known_frequency(cls, frequency: str) -> str:
        _ = TimeGrid(frequency, "UTC")
        return frequency

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        if name not in zone_names():
            raise ValueError(f"{name!r} is not a time zone of the IANA database; use a name such as Europe/Madrid")
        return name

    @field_validator("origin", mode="before")
    @classmethod
    def _written_origin(cls, origin: Any) -> Any:
        written = origin.isoformat() if isinstance(origin, date) else origin
        if isinstance(written, str) and _OFFSET.search(written):
            raise ValueError(f"origin {written!r} has an offset from UTC; write it in local time, without one")
        if isinstance(written, str) and not _DAY_OR_TIME.fullmatch(written):
            raise ValueError(f"origin {written[:40]!r} is not a time; write 2024-01-05 or 2024-01-05T06:00")
        if isinstance(written, str) and not FIRST_YEAR <= int(written[:4]) <= LAST_YEAR:
            raise ValueError(f"origin {written!r} lies before {FIRST_YEAR} or after {LAST_YEAR}; name another step")
        return written

    @field_validator("holidays", mode="before")
    @classmethod
    def _norway(cls, places: Any) -> Any:
        if places is False:
            raise ValueError("YAML reads NO without quotes as false; write 'NO' for Norway, or leave the key out")
        return [places] if isinstance(places, str) else places

    @field_validator("holidays")
    @classmethod
    def _known_places(cls, places: list[str]) -> list[str]:
        known, unknown = list[str](), list[str]()
        for place in dict.fromkeys(places):
            try:
                known.append(check_place(place))
            except ValueError as error:
                unknown.append(str(error))
        if unknown:
            raise ValueError(", and ".join(unknown))
        return known

    @field_validator("quantile_levels")
    @classmethod
    def _sorted_levels(cls, quantile_levels: list[float]) -> list[float]:
        ordered = sorted(quantile_levels)
        for lower, higher in pairwise(ordered):
            if lower == higher:
                raise ValueError(f"quantile_levels holds a level twice: {lower}")
            # Levels are written in decimals, so that two of them may be a little nearer than the decimals say.
            if higher - lower < FINEST_LEVEL * 0.999:
                raise ValueError(
                    f"quantile_levels holds {lower} and {higher}, less than {FINEST_LEVEL} apart. Keep one"
                )
        return ordered

    @field_validator("lower_bound", "upper_bound")
    @classmethod
    def _bound_in_range(cls, bound: float | None) -> float | None:
        if bound is not None and abs(bound) > LARGEST:
            raise ValueError(f"no value lies beyond {LARGEST:g}; give a bound nearer to 0, or leave it out")
        return bound

    @model_validator(mode="after")
    def _horizon_in_reach(self) -> Self:
        years = self.horizon * TimeGrid(self.frequency, "UTC").step_seconds / (DAYS_OF_YEAR * 86_400)
        if years > MOST_YEARS:
            raise ValueError(
                f"horizon is {self.horizon}, and so many steps of {self.frequency!r} reach {years:,.0f} years "
                f"ahead; the most are {MOST_YEARS}. Lower it"
            )
        outputs = self.horizon * len(self.quantile_levels)
        if outputs > MOST_OUTPUTS:
            raise ValueError(
                f"horizon {self.horizon} with {len(self.quantile_levels)} quantile_levels gives {outputs:,} outputs "
                f"for each series; the most are {MOST_OUTPUTS:,}. Lower one of them"
            )
        return self

    @model_validator(mode="after")
    def _label_of_weeks(self) -> Self:
        if self.week_label != "last_day" and not self.frequency.strip().lstrip("0123456789").startswith("W"):
            raise ValueError(f"week_label is for weeks such as W-MON; the frequency is {self.frequency!r}")
        return self

    @model_validator(mode="after")
    def _bounds_in_order(self) -> Self:
        if self.lower_bound is not None and self.upper_bound is not None and self.lower_bound >= self.upper_bound:
            raise ValueError(f"lower_bound {self.lower_bound} is not below upper_bound {self.upper_bound}")
        return self

    @property
    def grid(self) -> TimeGrid:
        """The time grid of the forecasts.

        Raises:
            ValueError: where no grid can be made of `frequency` and `origin`.
        """
        return TimeGrid(self.frequency, self.time_zone, self.week_label, self.origin)

    def on_grid_of(self, step: str | None) -> Self:
        """The same settings with an origin; None leaves them as they are."""
        return self if step is None else self.model_copy(update={"origin": step})

    @property
    def zone(self) -> ZoneInfo:
        """The time zone, for Python's own datetimes."""
        return ZoneInfo(self.time_zone)
