"""The recurrent network and how a window reaches it."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from models.settings.base import PositiveInt, Settings


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
