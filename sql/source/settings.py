"""The part `source` of a job file: where the history is, and what its columns mean."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str | dict) else value


def _not_empty(text: str) -> str:
    if not text.strip():
        raise ValueError("is empty; write a name, or leave the key out")
    return text


Name = Annotated[str, Field(max_length=300), AfterValidator(_not_empty)]
Address = Annotated[str, Field(max_length=4_000), AfterValidator(_not_empty)]
Columns = Annotated[list[Name], BeforeValidator(_as_list), Field(max_length=1_000)]
"""One column or several. A single name needs no brackets."""

LONGEST_QUERY = 65_536

COVARIATES = ("static", "static_numbers", "known_future", "observed_past")


class KnownFuture(BaseModel):
    """Another table or query with numbers that are known over the horizon, such as planned promotions."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: Address | None = Field(None, description="Any SQLAlchemy URL. Default: source.url.")
    table: Name | None = Field(None, description="Table or view that holds the values.")
    query: str | None = Field(
        None,
        max_length=LONGEST_QUERY,
        description="Instead of a table: a SELECT, or the path of a .sql file. See source.query.",
    )
    series_id: Columns = Field(
        [],
        description="Columns that identify the series, as many as source.series_id and in the same order. Default: the "
        "values hold for all series.",
    )
    timestamp: Name | None = Field(None, description="Column of the time. Default: source.timestamp.")
    columns: Columns = Field(min_length=1, description="Numeric columns.")
    recorded_at: Name | None = Field(
        None,
        description="Column of the time at which a row became known, such as the issue time of a weather forecast. If "
        "several rows have the same timestamp, a night reads the newest one as of its own time. A row with NULL counts "
        "as known from the start.",
    )

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.table is None) == (self.query is None):
            raise ValueError("give table or query" + (", not both" if self.table is not None else "; there is neither"))
        return self


class Source(BaseModel):
    """A table or a query of any database, and the meaning of its columns."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: Address = Field(
        description="Any SQLAlchemy URL, duckdb:///name.duckdb, or parquet:///folder. ${NAME} is read from the "
        "environment. A relative path starts from the folder of the job file."
    )
    table: Name | None = Field(
        None,
        description="Table or view that holds the history, as name or schema.name. In a folder of Parquet files: the "
        "file name.parquet or the folder name.",
    )
    query: str | None = Field(
        None,
        max_length=LONGEST_QUERY,
        description="Instead of a table: a SELECT, or the path of a .sql file that holds one. It may use :since and "
        ":until, the first and last timestamp to read. At most 65,536 characters; for more, make a view.",
    )
    series_id: Columns = Field(
        ["series_id"],
        min_length=1,
        description="Column that identifies the series, or several columns that do so together.",
    )
    timestamp: Name = Field("timestamp", description="Column of the time that a value belongs to.")
    value: Name = Field("value", description="Column of the value. NULL means not observed.")
    static: Columns = Field([], description="Columns with one category per series, such as its region.")
    static_numbers: Columns = Field([], description="Columns with one number per series, such as its floor area.")
    known_future: Columns = Field(
        [], description="Numeric columns whose values are known over the horizon, such as promotions."
    )
    known_future_from: Annotated[list[KnownFuture], BeforeValidator(_as_list)] = Field(
        [],
        max_length=50,
        description="One or several other tables or queries with columns whose values are known over the horizon. "
        "At most 50.",
    )
    observed_past: Columns = Field(
        [], description="Numeric columns whose values are known only up to the cutoff, such as visitors."
    )
    recorded_at: Name | None = Field(
        None,
        description="Column of the time at which a row became known. A night reads no row recorded after it. If "
        "several rows have the same series and timestamp, it reads the newest. A row with NULL counts as known from "
        "the start.",
    )
    delay_hours: float = Field(
        0,
        ge=0,
        le=8_784,
        allow_inf_nan=False,
        description="With recorded_at, here or in known_future_from: hours between the end of the cutoff's step and "
        "the night. A backfill or backtest of a past cutoff reads what was recorded by then. At most 8,784, a year.",
    )

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.table is None) == (self.query is None):
            raise ValueError("give table or query" + (", not both" if self.table is not None else "; there is neither"))
        return self

    @model_validator(mode="after")
    def _delay_of_what_is_recorded(self) -> Self:
        if self.delay_hours and not self.says_when_known:
            raise ValueError(
                "delay_hours needs recorded_at, the column that says when a row became known. Name that column"
            )
        return self

    @model_validator(mode="after")
    def _one_meaning_per_column(self) -> Self:
        meanings = {"timestamp": [self.timestamp], "value": [self.value]}
        meanings |= {key: getattr(self, key) for key in COVARIATES}
        meanings |= {f"known_future_from.{i}": other.columns for i, other in enumerate(self.known_future_from)}
        for meaning, columns in {"series_id": self.series_id, **meanings}.items():
            if len({*columns}) < len(columns):
                raise ValueError(f"{meaning} names a column twice: {columns}. Name each column once")
        seen: dict[str, str] = dict.fromkeys(self.series_id, "series_id")
        for meaning, columns in meanings.items():
            for column in columns:
                # A part of the id may also be a category: for sales by store and item, the store.
                if column in seen and not (meaning == "static" and seen[column] == "series_id"):
                    raise ValueError(
                        f"the column {column!r} stands under both {seen[column]} and {meaning}. Keep one of them"
                    )
                seen[column] = meaning
        covariates = [column for columns in list(meanings.values())[2:] for column in columns]
        taken = {"series_id", "timestamp", "value", "value_text", "recorded_at"}.intersection(covariates)
        if taken:
            raise ValueError(
                f"a column called {taken.pop()!r} cannot be a covariate: the name has a meaning of its own. "
                "Rename the column in a query"
            )
        return self

    @model_validator(mode="after")
    def _one_id_everywhere(self) -> Self:
        for i, other in enumerate(self.known_future_from):
            if len(other.series_id) not in (0, len(self.series_id)):
                raise ValueError(
                    f"known_future_from.{i}.series_id names {other.series_id}, but source.series_id names "
                    f"{self.series_id}. Name as many columns in the same order, or none if the values hold for all "
                    "series"
                )
        return self

    @property
    def says_when_known(self) -> bool:
        """Whether rows, of the history or of known-future columns, have a record time."""
        return bool(self.recorded_at or [other for other in self.known_future_from if other.recorded_at])

    @property
    def known_ahead(self) -> list[str]:
        """Columns that are known over the horizon, from the history or from elsewhere."""
        return [*self.known_future, *(column for other in self.known_future_from for column in other.columns)]

    @property
    def numbers(self) -> list[str]:
        """Numeric covariates of the history."""
        return [*self.static_numbers, *self.known_future, *self.observed_past]
