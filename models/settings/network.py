"""The recurrent network, and its inputs."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from models.settings.base import Settings, Width


class Layer(Settings):
    """One recurrent layer of the stack."""

    cell: Literal["simple_rnn", "lstm", "gru"] = Field("gru", description="Kind of recurrent cell.")
    units: int = Field(128, ge=1, le=4096, description="Width of the layer's state.")


class Tokens(Settings):
    """Scaled values, quantised into a vocabulary and embedded, as words of a text are."""

    vocabulary: int = Field(1000, ge=8, le=100_000, description="Number of tokens; the first one means 'not observed'.")
    dimension: int = Field(64, ge=1, le=1_024, description="Width of the embedding.")


class InputSettings(Settings):
    """What the recurrent layers read."""

    tokens: Tokens | None = Field(None, description="Embed quantised values instead of reading numbers.")
    calendar: bool = Field(True, description="Read hour, weekday, day and month of each step.")
    series_embedding: int = Field(
        8, ge=0, le=1_024, description="Width of the embedding that identifies a series; 0 for none."
    )
    static_embedding: int = Field(
        4, ge=0, le=1_024, description="Width of the embedding of each static category; 0 for none."
    )


class NetworkSettings(Settings):
    """The recurrent network. The product chooses what you leave out, and reports it."""

    layers: list[Layer] | None = Field(
        None,
        min_length=1,
        max_length=16,
        description="The recurrent stack, first layer first. Default: one GRU layer, whose width follows from the "
        "number of values. At most 16 layers: deeper stacks hardly train.",
    )
    segment: int | None = Field(
        None,
        ge=1,
        le=10_000,
        description="Time steps that are folded into one recurrent step. Default: a season or a part of one.",
    )
    context_length: int | None = Field(
        None,
        ge=1,
        le=100_000,
        description="Time steps of the past that the network sees. Default: three of the longest season and two "
        "horizons, where series are long enough. At most 100,000, because every window of a training step holds them.",
    )
    head: list[Width] | None = Field(
        None,
        max_length=16,
        description="Widths of the hidden dense layers before one dense output; [] for that output alone. Default: the "
        "per-step head, which also reads seasonal lags and known-future inputs. At most 16 layers: deeper ones hardly "
        "train.",
    )
    residual: Literal["seasonal", "none"] = Field(
        "seasonal",
        description="`seasonal` forecasts the difference from a learnt mix of seasonal naives; `none`, the value.",
    )
    members: int = Field(
        1,
        ge=1,
        le=5,
        description="Number of different networks whose forecasts are averaged. Training time grows with it.",
    )
    dropout: float | None = Field(
        None,
        ge=0.0,
        lt=1.0,
        description="Share of the recurrent state that is hidden from the head during training. Default: 0.3 for small "
        "panels, otherwise 0.",
    )
    input: InputSettings = InputSettings()

    @model_validator(mode="before")
    @classmethod
    def _auto(cls, value: Any) -> Any:
        # `network: auto` in a job means the same as leaving it out.
        return {} if value == "auto" else value
