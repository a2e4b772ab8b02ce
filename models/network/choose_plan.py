"""`network: auto`: every number of the network that the job leaves open, chosen from the panel."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from models.network.choose_profiles import useful_profiles
from models.network.plan import Plan
from models.panel.panel import Panel
from models.settings.forecast import ForecastSettings
from models.settings.network import NetworkSettings
from models.settings.training import TrainingSettings

LONGEST_SEGMENT = 48
FEWEST_SEGMENTS = 8
CYCLES = 3
# Only the newest recurrent steps of a window are origins: most of the context lies before them, as in a forecast, and
# more origins in a long window would repeat one another.
ORIGINS = 8
HEAD_UNITS = 32
SMOOTHING = (0.1, 0.3, 0.6, 0.999)
PROFILE_WEIGHTS = (0.1, 0.3)
ERROR_POWER = 4.0
# Many values take more training steps than few; with more steps still, few values are learnt by heart.
STEPS, MANY_STEPS = 600, 1_200
MANY_VALUES = 200_000
BATCH_SIZE = 64
# A panel of fewer values gets a smaller network, and dropout.
FEW_VALUES = 20_000
FEW_UNITS, MANY_UNITS = 64, 128
DROPOUT = 0.3
# With fewer values in a typical series, an embedding would learn single series by heart.
EMBEDDED_VALUES = 1_000

# What works at once for each optimizer, for windows of scaled values and clipped gradients.
LEARNING_RATES = {"adam": 2e-3, "adamw": 2e-3, "nadam": 2e-3, "rmsprop": 1e-3, "adagrad": 3e-2, "sgd": 3e-1}


@dataclass
class _Choice:
    """What a plan is chosen by, and the sentences that explain the choice.

    Attributes:
        network: What the job asks for.
        season: The shortest season, in steps.
        seasons: Seasons that a typical series holds twice, shortest first.
        typical: Median number of observed values of a series.
        values: Number of observed values of the panel.
        reasons: One sentence for each choice.
    """

    network: NetworkSettings
    season: int
    seasons: tuple[int, ...]
    typical: int
    values: int
    reasons: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, panel: Panel, network: NetworkSettings) -> _Choice:
        counts = panel.observed_counts[panel.observed_counts > 0]
        typical = int(np.median(counts)) if len(counts) else 1
        seasons = tuple(length for length in panel.season_lengths if 2 * length <= typical) or (1,)
        return cls(network, panel.season_lengths[0], seasons, typical, int(counts.sum()))

    def segment(self) -> int:
        if self.network.segment is not None:
            return self.network.segment
        segment = 1 if self.network.input.tokens else _longest_divisor(self.season, self.typical)
        self.reasons.append(
            f"segment {segment}: a season has {self.season} steps, a typical series {self.typical} values"
        )
        return segment

    def recurrent_steps(self, segment: int, horizon: int) -> int:
        longest = max(self.seasons)
        wanted = max(3 * longest, 2 * horizon, FEWEST_SEGMENTS * segment)
        context = self.network.context_length or max(segment, min(wanted, max(self.typical - 1, 1)))
        steps = max(1, round(context / segment))
        if self.network.context_length is None:
            self.reasons.append(
                f"context {steps * segment}: three seasons of {longest} steps and two horizons, if series allow"
            )
        return steps

    def layers(self) -> tuple[tuple[str, int], ...]:
        if self.network.layers:
            return tuple((layer.cell, layer.units) for layer in self.network.layers)
        units = FEW_UNITS if self.values < FEW_VALUES else MANY_UNITS
        self.reasons.append(f"one gru layer of {units} units for {self.values} observed values")
        return (("gru", units),)

    def dropout(self) -> float:
        if self.network.dropout is not None:
            return self.network.dropout
        dropout = DROPOUT if self.values < FEW_VALUES else 0.0
        if dropout:
            self.reasons.append(
                f"dropout {dropout:g}: without it, the network would learn {self.values} values by heart"
            )
        return dropout

    def series_embedding(self) -> int:
        wanted = self.network.input.series_embedding
        if wanted and self.typical < EMBEDDED_VALUES:
            self.reasons.append(
                f"no series embedding: it takes {EMBEDDED_VALUES} values, and a typical series has {self.typical}"
            )
        return wanted if self.typical >= EMBEDDED_VALUES else 0

    def lower_bound(self, panel: Panel, forecast: ForecastSettings) -> float | None:
        if forecast.lower_bound is not None:
            return forecast.lower_bound
        bound = usual_lower_bound(panel)
        if bound is not None:
            self.reasons.append(
                "no forecast below 0: no series has a negative value; forecast.lower_bound changes that"
            )
        return bound


def choose(
    panel: Panel, forecast: ForecastSettings, network: NetworkSettings, training: TrainingSettings
) -> tuple[list[Plan], list[str]]:
    """Settle every number that the job leaves open.

    Args:
        panel: The series.
        forecast: Horizon, quantile levels and bounds.
        network: What the job asks of the network; None where it leaves the choice.
        training: What the job asks of training.

    Returns:
        A plan for each member of the ensemble, and for each choice a sentence that explains it.
    """
    choice = _Choice.of(panel, network)
    segment = choice.segment()
    recurrent_steps = choice.recurrent_steps(segment, forecast.horizon)
    tokens = network.input.tokens
    plan = Plan(
        segment=segment,
        recurrent_steps=recurrent_steps,
        horizon=forecast.horizon,
        seasons=choice.seasons,
        cycles=(CYCLES,) * len(choice.seasons),
        origins=1 if tokens else min(ORIGINS, recurrent_steps),
        # A mean over one season is free of it; a longer one would lag behind a level that moves.
        level_window=max(min(choice.seasons), 4),
        scale_window=2 * max(max(choice.seasons), 4),
        quantile_levels=tuple(sorted({0.5, *forecast.quantile_levels})),
        layers=choice.layers(),
        head=None if network.head is None else tuple(network.head),
        head_units=HEAD_UNITS,
        tokens=(tokens.vocabulary, tokens.dimension) if tokens else None,
        calendar=network.input.calendar,
        residual=network.residual == "seasonal",
        smoothing=SMOOTHING,
        profile_weights=PROFILE_WEIGHTS,
        profile_seasons=(),
        error_power=ERROR_POWER,
        mix_by_state=True,
        error_units=True,
        dropout=choice.dropout(),
        series_embedding=choice.series_embedding(),
        static_embedding=network.input.static_embedding,
        # Drawing new windows more often costs more of what old ones teach than it gains, see docs/methods.md.
        half_life=0.0,
        **_training_numbers(training, choice.values),
        lower_bound=choice.lower_bound(panel, forecast),
    )
    plan = replace(plan, profile_seasons=useful_profiles(panel, plan, choice.typical))
    if plan.profile_seasons:
        seasons_text = " and ".join(map(str, plan.profile_seasons))
        choice.reasons.append(f"means over many cycles of {seasons_text} steps: no simple forecast erred less")
    course = f"at most {plan.max_steps} training steps of {plan.batch_size} windows, at most {training.time_limit:g} s"
    return _members(plan, network.members, network.segment is None), [*choice.reasons, course]


def usual_lower_bound(panel: Panel) -> float | None:
    """The lower bound of forecasts where the job names none: 0 for a panel without a negative value, else None."""
    return None if (panel.values < 0).any() else 0.0


def trained_as(plan: Plan, training: TrainingSettings, values: int) -> Plan:
    """The same network, trained as the job asks now on a panel of so many observed values."""
    return replace(plan, **_training_numbers(training, values))


def _training_numbers(training: TrainingSettings, values: int) -> dict[str, Any]:
    return {
        "max_steps": training.max_steps or (STEPS if values < MANY_VALUES else MANY_STEPS),
        "batch_size": training.batch_size or BATCH_SIZE,
        "optimizer": training.optimizer,
        "learning_rate": training.learning_rate or LEARNING_RATES[training.optimizer],
    }


def _longest_divisor(season: int, typical: int) -> int:
    """The longest divisor of a season that still leaves a typical series a dozen segments."""
    divisors = [size for size in range(1, min(season, LONGEST_SEGMENT) + 1) if season % size == 0]
    return max((size for size in divisors if typical >= 12 * size), default=1)


def _members(plan: Plan, count: int, free_segment: bool) -> list[Plan]:
    """Plans that see a series differently: networks that differ by their seed alone err alike (see docs/methods.md)."""
    near = replace(plan, level_window=max(plan.level_window // 4, 2), scale_window=max(max(plan.seasons), 4))
    finer = replace(plan, level_window=2 * plan.level_window)
    if free_segment and plan.segment % 2 == 0 and plan.segment > 2:
        finer = replace(finer, segment=plan.segment // 2, recurrent_steps=2 * plan.recurrent_steps)
    slower_scale = replace(near, scale_window=plan.scale_window)
    one_layer_more = replace(plan, layers=(*plan.layers, plan.layers[-1]))
    return [plan, near, finer, slower_scale, one_layer_more][:count]
