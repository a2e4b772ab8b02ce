"""What a job file says about where its history lies."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str | dict) else value


Columns = Annotated[list[str], BeforeValidator(_as_list)]
"""One column or several; a single name may stand without brackets."""

COVARIATES = ("static", "static_numbers", "known_future", "observed_past")


class KnownFuture(BaseModel):
    """Another table or query with numbers that are known over the horizon, such as planned promotions."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str | None = Field(None, description="Any SQLAlchemy URL; left out, source.url.")
    table: str | None = Field(None, description="Table or view that holds the values.")
    query: str | None = Field(
        None, description="Instead of a table: a SELECT, or the path of a .sql file; see source.query."
    )
    series_id: Columns = Field(
        [],
        description="Columns that name the series, as many as source.series_id and in its order; left out, the values "
        "hold for all series.",
    )
    timestamp: str | None = Field(None, description="Column of the time; left out, source.timestamp.")
    columns: Columns = Field(min_length=1, description="Numeric columns.")
    recorded_at: str | None = Field(
        None,
        description="Column of the time at which a row became known, such as the issue of a weather forecast. A night "
        "sees of several rows for one timestamp the newest of its own time; NULL was known from the start.",
    )

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.table is None) == (self.query is None):
            raise ValueError("give either table or query, and not both")
        return self


class Source(BaseModel):
    """A table or a query of any database, and the meaning of its columns."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str = Field(
        description="Any SQLAlchemy URL, duckdb:///name.duckdb, or parquet:///folder; ${NAME} is read from the "
        "environment, and a relative path starts from the folder of the job file."
    )
    table: str | None = Field(
        None,
        description="Table or view that holds the history, as name or schema.name; of a "
        "folder of Parquet, the file name.parquet or the folder name.",
    )
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
    static_numbers: Columns = Field([], description="Columns with one number per series, such as its floor area.")
    known_future: Columns = Field([], description="Numeric columns that are known over the horizon (promotions).")
    known_future_from: Annotated[list[KnownFuture], BeforeValidator(_as_list)] = Field(
        [], description="One or several other places with columns that are known over the horizon."
    )
    observed_past: Columns = Field([], description="Numeric columns that are known up to the cutoff (visitors).")
    recorded_at: str | None = Field(
        None,
        description="Column of the time at which a row became known. A night sees no row that was recorded after it, "
        "and of several rows for one series and timestamp the newest; NULL was known from the start.",
    )
    delay_hours: float = Field(
        0,
        ge=0,
        allow_inf_nan=False,
        description="With recorded_at, here or in known_future_from: how long after the end of the cutoff's step a "
        "night runs. A night of a past cutoff, in a backfill or a backtest, sees what was recorded by then.",
    )

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.table is None) == (self.query is None):
            raise ValueError("give either table or query, and not both")
        return self

    @model_validator(mode="after")
    def _delay_of_what_is_recorded(self) -> Self:
        if self.delay_hours and not self.says_when_known:
            raise ValueError("delay_hours says when a row was known, which needs recorded_at; name that column")
        return self

    @model_validator(mode="after")
    def _one_meaning_per_column(self) -> Self:
        meanings = {"timestamp": [self.timestamp], "value": [self.value]}
        meanings |= {key: getattr(self, key) for key in COVARIATES}
        meanings |= {f"known_future_from.{i}": other.columns for i, other in enumerate(self.known_future_from)}
        seen: dict[str, str] = dict.fromkeys(self.series_id, "series_id")
        if len(seen) < len(self.series_id):
            raise ValueError(f"series_id names a column twice: {self.series_id}")
        for meaning, columns in meanings.items():
            for column in columns:
                # A part of the id may be a category too: sales of a store, by store and item.
                if column in seen and not (meaning == "static" and seen[column] == "series_id"):
                    raise ValueError(f"the column {column!r} stands under both {seen[column]} and {meaning}")
                seen[column] = meaning
        covariates = [column for columns in list(meanings.values())[2:] for column in columns]
        taken = {"series_id", "timestamp", "value", "value_text", "recorded_at"}.intersection(covariates)
        if taken:
            raise ValueError(
                f"a column called {taken.pop()!r} cannot be a covariate, for the word has a meaning of its own; "
                "rename it in a query"
            )
        return self

    @model_validator(mode="after")
    def _one_id_everywhere(self) -> Self:
        for i, other in enumerate(self.known_future_from):
            if len(other.series_id) not in (0, len(self.series_id)):
                raise ValueError(
                    f"known_future_from.{i}.series_id names {other.series_id}, but a series is named by "
                    f"{self.series_id}: name as many columns, in that order, or none where values hold for all series"
                )
        return self

    @property
    def says_when_known(self) -> bool:
        """Whether rows, of the history or of what is known ahead, tell when they were recorded."""
        return bool(self.recorded_at or [other for other in self.known_future_from if other.recorded_at])

    @property
    def known_ahead(self) -> list[str]:
        """Columns that are known over the horizon, wherever they come from."""
        return [*self.known_future, *(column for other in self.known_future_from for column in other.columns)]

    @property
    def numbers(self) -> list[str]:
        """Columns of all covariates that are numbers."""
        return [*self.static_numbers, *self.known_future, *self.observed_past]
