"""`network: auto`: every number of the network that the job leaves open, chosen from the panel."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from models.panel.panel import Panel
from models.settings.forecast import ForecastSettings
from models.settings.network import NetworkSettings
from models.settings.training import TrainingSettings

LONGEST_SEGMENT = 48
FEWEST_SEGMENTS = 8
CYCLES = 3
# The newest of a window's steps are origins: those have most of the context behind them that they will have when they
# forecast, and more of them in a long window would only say the same again.
ORIGINS = 8
# What many values hold is not learnt in as many steps as few need; more than that, and few are learnt by heart.
STEPS, MANY_STEPS = 600, 1_200
MANY_VALUES = 200_000
# A panel of fewer values gets a smaller network, and one that forgets.
FEW_VALUES = 20_000
DROPOUT = 0.3


@dataclass(frozen=True)
class Plan:
    """One network and its training, nothing left open; what is stored with its weights.

    Attributes:
        segment, steps, horizon, seasons, cycles: See `WindowShape`.
        origins: Newest recurrent steps of a window that are origins while training.
        level_window, scale_window: Steps over which a series' level and spread are taken.
        quantile_levels: Ascending, with 0.5.
        layers: Pairs (cell, units).
        head: Hidden dense layers, or None for the per-step head of `head_units`.
        tokens: (vocabulary, dimension) or None.
        calendar, residual, mix_by_state, error_units, series_embedding, static_embedding, dropout: See
            `RecurrentForecaster`.
        half_life: Age of a window, in lengths of a typical series, at which it is drawn half as often; 0 for never.
        max_steps, batch_size, learning_rate, optimizer: The training.
        lower_bound: No forecast is below it; None for no bound.
    """

    segment: int
    steps: int
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

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Plan:
        def frozen(value: Any) -> Any:
            return tuple(frozen(item) for item in value) if isinstance(value, list) else value

        return cls(**{key: frozen(value) for key, value in content.items()})


# What works at once for each optimizer, for windows of scaled values and clipped gradients.
LEARNING_RATES = {"adam": 2e-3, "adamw": 2e-3, "nadam": 2e-3, "rmsprop": 1e-3, "adagrad": 3e-2, "sgd": 3e-1}


def choose(
    panel: Panel, forecast: ForecastSettings, network: NetworkSettings, training: TrainingSettings
) -> tuple[list[Plan], list[str]]:
    """Settle every open number, and say in words what was chosen and why.

    Args:
        panel: The series.
        forecast: Horizon and quantile levels.
        network: What the job says of the network; None where it leaves the choice.
        training: What the job says of training.

    Returns:
        A plan for each member of the ensemble, and one sentence per choice.
    """
    said: list[str] = []
    counts = panel.observed_counts[panel.observed_counts > 0]
    typical = int(np.median(counts)) if len(counts) else 1
    season = panel.season_lengths[0]
    seasons = tuple(length for length in panel.season_lengths if 2 * length <= typical) or (1,)
    longest = max(seasons)

    segment = network.segment
    if segment is None:
        segment = 1 if network.input.tokens else _segment(season, typical)
        said.append(f"segment {segment}: a season is {season} steps and a typical series {typical}")
    wanted = max(3 * longest, 2 * forecast.horizon, FEWEST_SEGMENTS * segment)
    context = network.context_length or max(segment, min(wanted, max(typical - 1, 1)))
    steps = max(1, round(context / segment))
    if network.context_length is None:
        said.append(f"context {steps * segment}: three of the longest season, {longest}, and two horizons")
    layers = tuple((layer.cell, layer.units) for layer in network.layers or ())
    values = int(counts.sum())
    if not layers:
        layers = (("gru", 64 if values < FEW_VALUES else 128),)
        said.append(f"one gru layer of {layers[0][1]} units for {values} observed values")
    dropout = network.dropout
    if dropout is None:
        dropout = DROPOUT if values < FEW_VALUES else 0.0
        if dropout:
            said.append(f"dropout {dropout:g}: {values} values are soon learnt by heart")
    embedding = network.input.series_embedding if typical >= 1_000 else 0
    if network.input.series_embedding and not embedding:
        said.append(f"no series embedding: {typical} values are too few to learn a series by heart")
    tokens = network.input.tokens
    plan = Plan(
        segment=segment,
        steps=steps,
        horizon=forecast.horizon,
        seasons=seasons,
        cycles=(CYCLES,) * len(seasons),
        origins=1 if tokens else min(ORIGINS, steps),
        # A mean over one season is free of it; what is longer would lag behind a level that moves.
        level_window=max(min(seasons), 4),
        scale_window=2 * max(longest, 4),
        quantile_levels=tuple(sorted({0.5, *forecast.quantile_levels})),
        layers=layers,
        head=None if network.head is None else tuple(network.head),
        head_units=32,
        tokens=(tokens.vocabulary, tokens.dimension) if tokens else None,
        calendar=network.input.calendar,
        residual=network.residual == "seasonal",
        mix_by_state=True,
        error_units=True,
        series_embedding=embedding,
        static_embedding=network.input.static_embedding,
        dropout=dropout,
        # Drawing new windows more often costs more of what old ones teach than it gains, see docs/methods.md.
        half_life=0.0,
        **_course(training, values),
        lower_bound=forecast.lower_bound,
    )
    if forecast.lower_bound is None and usual_lower_bound(panel) is not None:
        plan = replace(plan, lower_bound=usual_lower_bound(panel))
        said.append("no forecast below 0, since no value of any series is; forecast.lower_bound says otherwise")
    said.append(f"at most {plan.max_steps} steps of {plan.batch_size} windows, at most {training.time_limit:g} s")
    return _members(plan, network.members, network.segment is None), said


def usual_lower_bound(panel: Panel) -> float | None:
    """What no forecast is below where the job does not say: 0 for a panel without a negative value, else nothing."""
    return None if (panel.values < 0).any() else 0.0


def trained_as(plan: Plan, training: TrainingSettings, values: int) -> Plan:
    """The same network, trained as the job says now on a panel of so many observed values."""
    return replace(plan, **_course(training, values))


def _course(training: TrainingSettings, values: int) -> dict[str, Any]:
    return {
        "max_steps": training.max_steps or (STEPS if values < MANY_VALUES else MANY_STEPS),
        "batch_size": training.batch_size or 64,
        "optimizer": training.optimizer,
        "learning_rate": training.learning_rate or LEARNING_RATES[training.optimizer],
    }


def _segment(season: int, typical: int) -> int:
    """The longest divisor of a season that still leaves a typical series a dozen segments."""
    divisors = [size for size in range(1, min(season, LONGEST_SEGMENT) + 1) if season % size == 0]
    return max((size for size in divisors if typical >= 12 * size), default=1)


def _members(plan: Plan, count: int, free_segment: bool) -> list[Plan]:
    """Plans that differ in what a series looks like to them; seeds of one network err alike (see docs/methods.md)."""
    near = replace(plan, level_window=max(plan.level_window // 4, 2), scale_window=max(max(plan.seasons), 4))
    finer = replace(plan, level_window=2 * plan.level_window)
    if free_segment and plan.segment % 2 == 0 and plan.segment > 2:
        finer = replace(finer, segment=plan.segment // 2, steps=2 * plan.steps)
    slower_scale = replace(near, scale_window=plan.scale_window)
    one_layer_more = replace(plan, layers=(*plan.layers, plan.layers[-1]))
    return [plan, near, finer, slower_scale, one_layer_more][:count]
