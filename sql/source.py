"""What a job file says about where its history lies."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

Columns = Annotated[list[str], BeforeValidator(lambda value: [value] if isinstance(value, str) else value)]
"""One column or several; a single name may stand without brackets."""


class Source(BaseModel):
    """A table or a query of any database, and the meaning of its columns."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str = Field(
        description="Any SQLAlchemy URL; ${NAME} is read from the environment, and a relative SQLite path starts "
        "from the folder of the job file."
    )
    table: str | None = Field(None, description="Table or view that holds the history, as name or schema.name.")
    query: str | None = Field(
        None,
        description="Instead of a table: a SELECT, or the path of a .sql file that holds one. It may use :since and "
        ":until, the first and last timestamp that are wanted.",
    )
    series_id: Columns = Field(
        ["series_id"], min_length=1, description="Column that names the series, or several that do so together."
    )
    timestamp: str = Field("timestamp", description="Column of the time that a value belongs to.")
    value: str = Field("value", description="Column of the value; NULL means not observed.")
    static: Columns = Field([], description="Columns with one category per series, such as its region.")
    known_future: Columns = Field([], description="Numeric columns that are known over the horizon (promotions).")
    observed_past: Columns = Field([], description="Numeric columns that are known up to the cutoff (visitors).")
    recorded_at: str | None = Field(
        None, description="Column of the time at which a row became known; read and checked, but no night uses it yet."
    )

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.table is None) == (self.query is None):
            raise ValueError("give either table or query, and not both")
        return self

    @model_validator(mode="after")
    def _one_meaning_per_column(self) -> Self:
        meanings = {"timestamp": [self.timestamp], "value": [self.value]}
        meanings |= {key: getattr(self, key) for key in ("static", "known_future", "observed_past")}
        seen: dict[str, str] = dict.fromkeys(self.series_id, "series_id")
        if len(seen) < len(self.series_id):
            raise ValueError(f"series_id names a column twice: {self.series_id}")
        for meaning, columns in meanings.items():
            for column in columns:
                # A part of the id may be a category too: sales of a store, by store and item.
                if column in seen and not (meaning == "static" and seen[column] == "series_id"):
                    raise ValueError(f"the column {column!r} stands under both {seen[column]} and {meaning}")
                seen[column] = meaning
        taken = {"series_id", "timestamp", "value", "value_text", "recorded_at"} & {
            *self.static, *self.known_future, *self.observed_past
        }  # fmt: skip
        if taken:
            raise ValueError(
                f"a column called {taken.pop()!r} cannot be a covariate, for the word has a meaning of its own; "
                "rename it in a query"
            )
        return self
