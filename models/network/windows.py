"""Windows of a panel, gathered by index where the network runs.

A window is a pair (series, origin): `origin` is the flat position of the last value that
the window may see. Nothing is copied per window beforehand: the flat arrays lie once on
the device, and `gather` reads `context_length` steps before and `horizon` steps after each
origin inside the compiled step.

While training, several of the newest recurrent steps of a window are forecast origins of their
own (forking sequences, Wen et al. 2017, arXiv 1711.11053), so everything an origin sees, its
level and scale included, is taken from values up to that origin and never from later ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from models.arrays import Int32Array, IntArray

Tensor = Any
# `keras.ops`, or `numpy_ops`, which has the same functions for NumPy.
Ops = Any


@dataclass(frozen=True)
class WindowShape:
    """How long a window is and what it looks back to.

    Attributes:
        segment: Time steps folded into one recurrent step.
        steps: Recurrent steps; the context is `segment * steps` time steps.
        horizon: Time steps ahead.
        seasons: Season lengths whose earlier cycles the head reads.
        cycles: For each of `seasons`, how many cycles back.
    """

    segment: int
    steps: int
    horizon: int
    seasons: tuple[int, ...]
    cycles: tuple[int, ...]

    @property
    def context_length(self) -> int:
        return self.segment * self.steps

    @property
    def lags(self) -> Int32Array:
        """How far before each step of the horizon its seasonal lags lie.

        Shape (horizon, lag). For step h and season m the newest whole cycle that the origin
        has seen is m * ceil(h / m) back; older cycles lie one season further each.
        """
        step = np.arange(1, self.horizon + 1)[:, None]
        columns = [
            season * (np.ceil(step / season).astype(np.int32) + cycle)
            for season, count in zip(self.seasons, self.cycles, strict=True)
            for cycle in range(count)
        ]
        return np.concatenate(columns, axis=1).astype(np.int32)

    @property
    def newest(self) -> list[int]:
        """Which columns of `lags` hold the newest cycle of each season."""
        return [int(place) for place in np.cumsum([0, *self.cycles])[:-1]]

    @property
    def newest_lags(self) -> Int32Array:
        """The columns of `lags` with the newest cycle of each season, shape (horizon, season)."""
        return self.lags[:, self.newest]

    @property
    def cycle_starts(self) -> Int32Array:
        """How far before the origin the cycle of each seasonal lag ended, shape (lag,)."""
        pairs = zip(self.seasons, self.cycles, strict=True)
        return np.concatenate([season * np.arange(count) for season, count in pairs]).astype(np.int32)

    def scaled_at(self, start: IntArray, origin: IntArray) -> IntArray:
        """The flat positions at which a forecast from one origin of each window looks at level, scale and error.

        Args:
            start: Shape (window,), where the window's series begins.
            origin: Shape (window,).
        """
        steps = self.segment * np.arange(self.steps)
        back = np.union1d(steps, self.cycle_starts)
        return np.maximum(origin[:, None] - back, start[:, None]).ravel()


def gather(
    flat: dict[str, Tensor], series: Tensor, origin: Tensor, shape: WindowShape, *, origins: int, ops: Ops
) -> dict[str, Tensor]:
    """Read one batch of windows from the flat arrays.

    Args:
        flat: The arrays of `flatten`, on the device.
        series: Shape (window,), the row of each window's series.
        origin: Shape (window,), the flat position of each window's last visible value.
        shape: The window's shape.
        origins: How many of the newest recurrent steps to forecast from: 1 but while training.
        ops: What computes.

    Returns:
        Zero stands where nothing was observed, beside a mask.

        | name | shape | what |
        |---|---|---|
        | `segments`, `observed` | (window, step, segment) | values, in the series' units |
        | `level`, `scale` | (window, step) | what each step knows of its series' level and spread |
        | `error`, `change` | (window, step, season) | what it knows of its seasonal differences, in scales |
        | `lags`, `lags_observed` | (window, origin, horizon, lag) | values whole seasons before each future step |
        | `lag_level`, `lag_scale` | (window, origin, lag) | what was known when the lag's own cycle ended |
        | `target`, `target_observed` | (window, origin, horizon) | what came after |
        | `calendar` | (window, step, feature) | of the last time step of each segment |
        | `future_calendar` | (window, origin, horizon, feature) | of each future step |
        | `weight`, `row` | (window,) | of the series: its weight in the loss, its row of the embedding |
        | `static` | (window, column) | rows of its static categories |
        | `static_numbers` | (window, 2 * column) | where the panel has any: in standard deviations, and whether known |
        | `past_covariates` | (window, step, segment * feature) | where the panel has any |
        | `future_covariates` | (window, origin, horizon, feature) | where the panel has any, holidays among them |
        | `lag_covariates` | (window, origin, horizon, season * feature) | the same at the newest seasonal lags |
    """
    start = ops.take(flat["start"], series)
    end = ops.take(flat["end"], series)
    first = origin - (shape.context_length - 1)
    last_of_segment = np.arange(1, shape.steps + 1, dtype=np.int32) * shape.segment - 1
    step_position = first[:, None] + last_of_segment[None]
    origin_position = step_position[:, shape.steps - origins :]

    def read(name: str, position: Tensor) -> tuple[Tensor, Tensor]:
        """Values at flat positions of shape (window, ...), and whether they lie in the series and were observed."""
        ones = (1,) * (len(position.shape) - 1)
        inside = (position >= ops.reshape(start, (-1, *ones))) & (position < ops.reshape(end, (-1, *ones)))
        values = ops.take(flat[name], ops.where(inside, position, 0), axis=0)
        good = inside & ops.logical_not(ops.isnan(values))
        return ops.where(good, values, 0.0), ops.cast(good, values.dtype)

    context = first[:, None] + np.arange(shape.context_length, dtype=np.int32)[None]
    values, observed = read("values", context)
    folded = (-1, shape.steps, shape.segment)
    # A step before the series began borrows the level of its first value: it holds nothing observed.
    known = ops.maximum(step_position, start[:, None])
    future = origin_position[:, :, None] + np.arange(1, shape.horizon + 1, dtype=np.int32)
    target, target_observed = read("values", future)
    lags, lags_observed = read("values", future[..., None] - shape.lags[None, None])
    shift = ops.take(flat["calendar_shift"], series)
    cycle_end = ops.maximum(origin_position[..., None] - shape.cycle_starts[None, None], start[:, None, None])
    batch = {
        "segments": ops.reshape(values, folded),
        "observed": ops.reshape(observed, folded),
        "level": ops.take(flat["level"], known),
        "scale": ops.take(flat["scale"], known),
        "error": ops.take(flat["error"], known, axis=0),
        "change": ops.take(flat["change"], known, axis=0),
        "lags": lags,
        "lags_observed": lags_observed,
        "lag_level": ops.take(flat["level"], cycle_end),
        "lag_scale": ops.take(flat["scale"], cycle_end),
        "target": target,
        "target_observed": target_observed,
        "calendar": ops.take(flat["calendar"], ops.maximum(step_position + shift[:, None], 0), axis=0),
        "future_calendar": ops.take(flat["calendar"], ops.maximum(future + shift[:, None, None], 0), axis=0),
        "weight": ops.take(flat["weight"], series),
        "row": ops.take(flat["row"], series),
        "static": ops.take(flat["static"], series, axis=0),
    }
    if "static_numbers" in flat:
        batch["static_numbers"] = ops.take(flat["static_numbers"], series, axis=0)
    # Covariates of every time step of a segment, side by side: a promotion in mid-week explains its own day.
    known_context = ops.maximum(context, start[:, None])
    past, known_ahead = [], []
    if "future_covariates" in flat:
        # The covariates of series i begin i * horizon later than its values: each series has a tail of its own.
        offset = series * flat["covariate_tail"]
        last = end + flat["covariate_tail"] - 1

        def covariates(position: Tensor) -> Tensor:
            ones = (1,) * (len(position.shape) - 1)
            at = ops.minimum(ops.maximum(position, ops.reshape(start, (-1, *ones))), ops.reshape(last, (-1, *ones)))
            return ops.take(flat["future_covariates"], at + ops.reshape(offset, (-1, *ones)), axis=0)

        known_ahead.append(covariates)
    if "holidays" in flat:

        def holidays(position: Tensor) -> Tensor:
            at = position + ops.reshape(shift, (-1, *(1,) * (len(position.shape) - 1)))
            return ops.take(flat["holidays"], ops.maximum(at, 0), axis=0)

        known_ahead.append(holidays)
    if known_ahead:
        newest = future[..., None] - shape.newest_lags[None, None]
        past += [known_at(known_context) for known_at in known_ahead]
        batch["future_covariates"] = _side_by_side([known_at(future) for known_at in known_ahead], ops)
        lagged = _side_by_side([known_at(newest) for known_at in known_ahead], ops)
        width = lagged.shape[-2] * lagged.shape[-1]
        batch["lag_covariates"] = ops.reshape(lagged, (-1, origins, shape.horizon, width))
    if "past_only" in flat:
        past.append(ops.take(flat["past_only"], known_context, axis=0))
    if past:
        together = _side_by_side(past, ops)
        batch["past_covariates"] = ops.reshape(together, (-1, shape.steps, shape.segment * together.shape[-1]))
    return batch


def _side_by_side(parts: list[Tensor], ops: Ops) -> Tensor:
    return ops.concatenate(parts, axis=-1) if len(parts) > 1 else parts[0]
