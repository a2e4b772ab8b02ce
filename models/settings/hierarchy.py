"""Which aggregates of the series are forecast too."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from models.settings.base import Settings


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
