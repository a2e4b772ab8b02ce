"""What the audit does about each kind of problem in the input."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from models.settings.base import Settings


class AuditSettings(Settings):
    """What to do about each kind of problem in the input. The audit reports every problem, whatever the policy.

    `error` stops the night with one message.
    """

    duplicates: Literal["error", "first", "last", "mean", "sum"] | None = Field(
        None,
        description="Different values for one series and timestamp. `first` and `last` follow the source's order of "
        "rows; `sum` adds up every row, the others count equal values once. Default: `mean`, and an error where more "
        "than half of the timestamps have several values.",
    )
    off_grid: Literal["error", "leave_out", "floor"] | None = Field(
        None,
        description="Timestamps between two steps. `floor` moves each to the step that it falls into: back to the "
        "beginning of an hour, a day or MS; forward to the last day of ME, QE, YE and W. Default: `leave_out`, and an "
        "error where more than half of the rows lie between steps.",
    )
    unfinished: Literal["leave_out", "keep"] = Field(
        "leave_out",
        description="Values of the step that is not over yet at the present moment, such as today's sales until now. "
        "Use `keep` if the source holds the whole value of a step before the step ends.",
    )
    future: Literal["error", "leave_out"] = Field("leave_out", description="Values after the present moment.")
    non_numeric: Literal["error", "missing"] = Field(
        "error", description="Text in the value column that is not a number. `missing` means not observed."
    )
    infinite: Literal["error", "missing"] = Field(
        "missing", description="Infinite values, and values too large for a float32 (beyond 3.4e38)."
    )
    nulls: Literal["error", "missing"] = Field("missing", description="Rows without a value.")
    gaps: Literal["error", "missing", "zero"] = Field(
        "missing",
        description="Steps without a row after the first value of a series. Use `zero` if the source has no row when "
        "nothing was sold.",
    )
    out_of_bounds: Literal["error", "keep", "missing"] = Field(
        "keep", description="Values below forecast.lower_bound or above forecast.upper_bound."
    )
    unit_changes: Literal["error", "keep", "missing", "rescale"] = Field(
        "keep",
        description="Series whose level jumps by a power of ten and stays there. `rescale` converts the values before "
        "the jump to the new unit; `missing` treats them as not observed.",
    )
    dead: Literal["error", "fallback", "forecast"] = Field(
        "fallback",
        description="Series without a value for a long time. `fallback` forecasts them with the fallback, `forecast` "
        "with the model.",
    )
    dead_after_steps: int | None = Field(
        None,
        ge=1,
        le=10_000_000,
        description="Steps without a value after which a series is dead. Default: the longest of two horizons, eight "
        "weeks and the longest season.",
    )
    stale: Literal["error", "warn"] = Field(
        "warn", description="A source whose newest value is too old. An alert is sent in either case."
    )
    stale_after_steps: int | None = Field(
        None,
        ge=0,
        le=10_000_000,
        description="Whole steps without a value of any series after which the source is stale, counted to the "
        "requested cutoff or else to the present. Default: one day if there are several steps a day, otherwise three "
        "days; at least one step.",
    )
