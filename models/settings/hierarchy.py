"""Which aggregates of the series are forecast too."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from models.settings.base import Name, Settings


class HierarchySettings(Settings):
    """Aggregates that are forecast beside the series, such as the sum of each store, or the total."""

    aggregates: list[Annotated[list[Name], Field(max_length=20)]] = Field(
        [],
        max_length=100,
        description="One list for each aggregation level: the columns of source.series_id that it keeps. It sums over "
        "the other columns; [] is the total. At most 100 lists of 20 columns.",
    )
    method: Literal["bottom_up", "mint"] = Field(
        "bottom_up",
        description="`bottom_up` adds up the forecasts of the series. `mint` forecasts the aggregates too and "
        "reconciles all forecasts; it needs the extra in requirements/hierarchy.txt.",
    )

    @field_validator("aggregates", mode="before")
    @classmethod
    def _single_columns(cls, aggregates: Any) -> Any:
        if aggregates == []:
            raise ValueError("names no aggregate; write [[]] for the total of all series, or leave hierarchy out")
        if isinstance(aggregates, list):
            return [[kept] if isinstance(kept, str) else kept for kept in aggregates]
        return aggregates

    @model_validator(mode="after")
    def _method_needs_aggregates(self) -> Self:
        if self.method != "bottom_up" and not self.aggregates:
            raise ValueError(
                f"method is {self.method}, but aggregates names no aggregate; write [[]] for the total of all series"
            )
        return self
