"""What is done about each kind of dirt in the input."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from models.settings.base import PositiveInt, Settings


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
