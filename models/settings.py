"""What a job file may say about numbers: the forecast, the network, training, monitoring.

These live apart from the code that obeys them in one respect only: nothing here imports
Keras, so that reading a job file takes milliseconds.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from models.calendar.public_holidays import check_place
from models.calendar.zones import zone_names

QuantileLevel = Annotated[float, Field(gt=0.0, lt=1.0)]
PositiveInt = Annotated[int, Field(ge=1)]
MissingFuture = Literal["mean", "last", "zero", "fallback", "error"]

# Values are float32, which end a little above.
LARGEST = 3.4e38


class Settings(BaseModel):
    """Base of every part of a job: unknown keys, .inf and .nan are refused, and nothing changes after."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ForecastSettings(Settings):
    """What is forecast: the time grid, how far ahead, and which quantiles."""

    frequency: str = Field(description="Step of the time grid, a pandas offset alias such as h, D, W-SUN or MS.")
    horizon: int = Field(ge=1, le=10_000, description="Number of steps ahead.")
    time_zone: str = Field("UTC", description="Zone in which the source's naive timestamps and its days are meant.")
    season_lengths: list[PositiveInt] | None = Field(
        None, description="Seasons in steps, shortest first; left out, they follow from the frequency."
    )
    holidays: list[str] = Field(
        [],
        description="Countries, or regions of them, whose public holidays the network sees, such as ES, ES-MD or "
        "[US-CA, US-NY].",
    )
    missing_future: MissingFuture | dict[str, MissingFuture] = Field(
        "mean",
        description="What stands where a known-future value is missing: its mean, the last known one of the series, or "
        "0; or the series are left to the fallback, or the night stops. One word for all columns, or a mapping of "
        "column to word. `last` and `zero` hold for the past too.",
    )
    quantile_levels: list[QuantileLevel] = Field(
        default=[0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95], min_length=1, description="Levels to forecast, each in (0, 1)."
    )
    lower_bound: float | None = Field(
        None, description="No forecast is below it; left out, 0 where the network was trained on no value below 0."
    )
    upper_bound: float | None = Field(None, description="No forecast is above it.")
    min_history: int = Field(3, ge=1, description="Series with fewer observed values are left to the fallback.")

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        if name not in zone_names():
            raise ValueError(f"{name!r} is not a time zone of the IANA database; use a name such as Europe/Madrid")
        return name

    @field_validator("holidays", mode="before")
    @classmethod
    def _norway(cls, places: Any) -> Any:
        if places is False:
            raise ValueError("NO without quotes is false in YAML; write 'NO' for Norway, or leave the key out")
        return [places] if isinstance(places, str) else places

    @field_validator("holidays")
    @classmethod
    def _known_places(cls, places: list[str]) -> list[str]:
        return [check_place(place) for place in dict.fromkeys(places)]

    @field_validator("quantile_levels")
    @classmethod
    def _sorted_levels(cls, levels: list[float]) -> list[float]:
        if len(set(levels)) != len(levels):
            raise ValueError(f"quantile_levels holds a level twice: {levels}")
        return sorted(levels)

    @field_validator("lower_bound", "upper_bound")
    @classmethod
    def _bound_in_reach(cls, bound: float | None) -> float | None:
        if bound is not None and abs(bound) > LARGEST:
            raise ValueError(f"no value lies beyond {LARGEST:g}; give a bound nearer to 0, or leave it out")
        return bound

    @model_validator(mode="after")
    def _bounds_in_order(self) -> Self:
        if self.lower_bound is not None and self.upper_bound is not None and self.lower_bound >= self.upper_bound:
            raise ValueError(f"lower_bound {self.lower_bound} is not below upper_bound {self.upper_bound}")
        return self

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone)


class Layer(Settings):
    """One recurrent layer of the stack."""

    cell: Literal["simple_rnn", "lstm", "gru"] = "gru"
    units: int = Field(128, ge=1, le=4096)


class Tokens(Settings):
    """Scaled values quantised into a vocabulary and embedded, as words are in text."""

    vocabulary: int = Field(1000, ge=8, description="Number of tokens; the first one means 'not observed'.")
    dimension: int = Field(64, ge=1, description="Width of the embedding.")


class InputSettings(Settings):
    """How a window reaches the recurrent layers."""

    tokens: Tokens | None = Field(None, description="Embed quantised values instead of feeding numbers.")
    calendar: bool = Field(True, description="Hour, weekday, day and month of each step.")
    series_embedding: int = Field(8, ge=0, description="Width of the embedding that identifies a series; 0 for none.")
    static_embedding: int = Field(4, ge=0, description="Width of the embedding of each static category.")


class NetworkSettings(Settings):
    """The recurrent network. What is left out is chosen from the panel and printed."""

    layers: list[Layer] | None = Field(None, min_length=1, description="The recurrent stack, first layer first.")
    segment: int | None = Field(None, ge=1, description="Time steps folded into one recurrent step.")
    context_length: int | None = Field(None, ge=1, description="Time steps of the past that the network sees.")
    head: list[PositiveInt] | None = Field(
        None,
        description="Hidden dense layers before one dense output; [] for that output alone; left out, the "
        "per-step head, which also reads seasonal lags and known-future inputs.",
    )
    residual: Literal["seasonal", "none"] = Field(
        "seasonal", description="Forecast the difference from a learnt mix of seasonal naives, or the value itself."
    )
    members: int = Field(
        1,
        ge=1,
        le=5,
        description="Different networks whose forecasts are averaged; each takes as long as one to train.",
    )
    dropout: float | None = Field(
        None,
        ge=0.0,
        lt=1.0,
        description="Share of the recurrent state that the head does not see while training; left out, 0.3 where "
        "there are few values, and none else.",
    )
    input: InputSettings = InputSettings()

    @model_validator(mode="before")
    @classmethod
    def _auto(cls, value: Any) -> Any:
        # `network: auto` in a job says in words that everything is left open.
        return {} if value == "auto" else value


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


class AuditSettings(Settings):
    """What is done about each kind of dirt in the input; whatever is found is said, whatever is done about it.

    "error" stops the night with one message. Where a policy is left out, the default in its description holds,
    and the kind is an error all the same where it holds of more than half of the rows: then the job is wrong, not
    the rows.
    """

    duplicates: Literal["error", "first", "last", "mean", "sum"] | None = Field(
        None,
        description="Different values for one series and timestamp; left out, their mean, and an error where more "
        "than half of the timestamps have several. `first` and `last` go by the order in which the source gives "
        "its rows; `sum` adds up every row. Otherwise equal values count once.",
    )
    off_grid: Literal["error", "leave_out", "floor"] | None = Field(
        None,
        description="Timestamps between two steps; `floor` moves them back to the step that they fall into; left out, "
        "`leave_out`, and an error where more than half of the rows are so.",
    )
    future: Literal["error", "leave_out"] = Field("leave_out", description="Values after the present moment.")
    non_numeric: Literal["error", "missing"] = Field(
        "error", description="Text in the value column that is no number; `missing` means not observed."
    )
    infinite: Literal["error", "missing"] = Field(
        "missing", description="Infinite values, and those that no float32 holds (3.4e38)."
    )
    nulls: Literal["error", "missing"] = Field("missing", description="Rows without a value.")
    gaps: Literal["error", "missing", "zero"] = Field(
        "missing",
        description="Steps without a row after a series has begun; `zero` for a source that has no row where nothing "
        "was sold.",
    )
    out_of_bounds: Literal["error", "keep", "missing"] = Field(
        "keep", description="Values below forecast.lower_bound or above forecast.upper_bound."
    )
    unit_changes: Literal["error", "keep", "missing", "rescale"] = Field(
        "keep",
        description="Series whose level jumps by a power of ten and stays there; `rescale` brings the values before it "
        "into the new unit, `missing` forgets them.",
    )
    dead: Literal["error", "fallback", "forecast"] = Field(
        "fallback", description="Series without an observed value for long; `forecast` leaves them to the model."
    )
    dead_after_steps: PositiveInt | None = Field(
        None,
        description="Steps without a value after which a series is dead; left out, two horizons, eight weeks or "
        "the longest season, whichever is longest.",
    )
    stale: Literal["error", "warn"] = Field(
        "warn", description="A source whose newest value is too old; either way there is an alert."
    )
    stale_after_steps: int | None = Field(
        None,
        ge=0,
        description="Whole steps without a value of any series, up to the cutoff that was asked for or else to now, "
        "after which the source is stale; left out, those of a day where steps are shorter than that, else those of "
        "three days, and one at least.",
    )


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


class ScheduleSettings(Settings):
    """What becomes of nights that were missed, and of a run that begins while another one is on its way."""

    catch_up: Literal["all", "newest", "none"] = Field(
        "newest",
        description="Before a run without a cutoff: `all` runs the nights that were missed since the last one, oldest "
        "first; `newest` leaves them out and says so, and leaves out a late run of a night that a newer one has "
        "overtaken; `none` does not look.",
    )
    second_run: Literal["refused", "queued"] = Field(
        "refused",
        description="A run of this job while another one is on its way: an error, or it waits for it, for a day at "
        "most.",
    )


class HierarchySettings(Settings):
    """Upper levels: sums of series that are forecast too, such as those of each store, or the total."""

    levels: list[list[str]] = Field(
        [],
        description="For each level the columns of source.series_id that it keeps; it sums over the others, and [] is "
        "the total.",
    )
    method: Literal["bottom_up", "mint"] = Field(
        "bottom_up",
        description="Add up the forecasts of the series; `mint` forecasts the sums too and reconciles all of them (an "
        "extra, requirements/hierarchy.txt).",
    )

    @field_validator("levels", mode="before")
    @classmethod
    def _single_columns(cls, levels: Any) -> Any:
        if levels == []:
            raise ValueError("names no level; write [[]] for the total of all series, or leave hierarchy out")
        if isinstance(levels, list):
            return [[level] if isinstance(level, str) else level for level in levels]
        return levels

    @model_validator(mode="after")
    def _method_of_some_level(self) -> Self:
        if self.method != "bottom_up" and not self.levels:
            raise ValueError(
                f"method is {self.method}, but levels names no level; write [[]] for the total of all series"
            )
        return self
