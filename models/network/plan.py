"""The plan of one network: every number of it and of its training, nothing left open."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from models.trailing.window_shape import WindowShape


@dataclass(frozen=True)
class Plan:
    """One network and its training; stored with its weights.

    Attributes:
        segment: Time steps that are folded into one recurrent step.
        recurrent_steps: Recurrent steps of a window; its context is `segment * recurrent_steps` time steps.
        horizon: Time steps ahead.
        seasons: Season lengths in time steps, whose earlier cycles the head reads.
        cycles: For each of `seasons`, how many cycles back.
        origins: Newest recurrent steps of a window that are forecast origins while training.
        level_window, scale_window: Time steps over which a series' level and scale are taken.
        quantile_levels: Ascending, with 0.5 among them.
        layers: Pairs (cell, units) of the recurrent stack, first layer first.
        head: Hidden dense layers before one dense output; None for the per-step head, of width `head_units`.
        head_units: Width of the per-step head.
        tokens: (vocabulary, dimension) of the embedding of quantised values; None to feed numbers.
        calendar: Whether calendar features enter.
        residual: Whether to forecast the difference from a mix of seasonal naives.
        smoothing: Weights of the newest value in the smoothed levels and seasonal differences of that mix.
        profile_seasons: Seasons that are averaged over many cycles for that mix.
        profile_weights: Weights of the newest cycle in these averages.
        error_power: How much less a candidate of that mix weighs that has erred more: one over the error's power.
        mix_by_state: Whether the recurrent state shifts the weights of that mix; never without the per-step head.
        error_units: Whether that difference counts in units of the series' seasonal error, or in scales.
        series_embedding: Width of the embedding that identifies a series; 0 for none.
        static_embedding: Width of the embedding of each static column; 0 for none.
        dropout: Share of the recurrent state that the head does not see while training.
        half_life: Age of a window, in lengths of a typical series, at which it is drawn half as often; 0 for never.
        max_steps: Training steps at most.
        batch_size: Windows in one training step.
        optimizer, learning_rate: The optimizer and its peak learning rate.
        lower_bound: No forecast is below it; None for no bound.
    """

    segment: int
    recurrent_steps: int
    horizon: int
    seasons: tuple[int, ...]
    cycles: tuple[int, ...]
    origins: int
    level_window: int
    scale_window: int
    quantile_levels: tuple[float, ...]
    layers: tuple[tuple[str, int], ...]
    head: tuple[int, ...] | None
    head_units: int
    tokens: tuple[int, int] | None
    calendar: bool
    residual: bool
    smoothing: tuple[float, ...]
    profile_seasons: tuple[int, ...]
    profile_weights: tuple[float, ...]
    error_power: float
    mix_by_state: bool
    error_units: bool
    series_embedding: int
    static_embedding: int
    dropout: float
    half_life: float
    max_steps: int
    batch_size: int
    optimizer: str
    learning_rate: float
    lower_bound: float | None

    @property
    def window(self) -> WindowShape:
        """The shape of the windows that the network reads."""
        return WindowShape(
            self.segment,
            self.recurrent_steps,
            self.horizon,
            self.seasons,
            self.cycles,
            self.smoothing,
            self.profile_seasons,
            self.profile_weights,
        )

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Plan:
        """From what `to_dict` gave, after a trip through JSON."""

        def frozen(value: Any) -> Any:
            return tuple(frozen(item) for item in value) if isinstance(value, list) else value

        # Versions that were trained before there were profiles have none.
        content = {"profile_seasons": (), "profile_weights": (), **content}
        return cls(**{key: frozen(value) for key, value in content.items()})
