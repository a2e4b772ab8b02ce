"""Windows of a panel, gathered by index where the network runs.

A window is a pair (series, origin): `origin` is the flat position of the last value that the window may see. Nothing
is copied for each window beforehand: the flat arrays lie once on the device, and `gather` reads `context_length` steps
before and `horizon` steps after each origin inside the compiled step.

While training, several of the newest recurrent steps of a window are forecast origins (forking sequences, Wen et al.
2017, arXiv 1711.11053). So everything an origin sees, its level and scale included, is taken from values up to that
origin and never from later ones.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from models.trailing.window_shape import WindowShape

Tensor = Any
# `keras.ops`, or `numpy_ops`, which has the same functions for NumPy.
Ops = Any


def gather(
    flat: dict[str, Tensor], series: Tensor, origin: Tensor, window: WindowShape, *, origins: int, ops: Ops
) -> dict[str, Tensor]:
    """Read one batch of windows from the flat arrays.

    Args:
        flat: The arrays of `flatten`, on the device.
        series: Shape (window,), the row of each window's series.
        origin: Shape (window,), the flat position of each window's last visible value.
        window: The shape of the windows.
        origins: How many of the newest recurrent steps to forecast from; 1 except while training.
        ops: The library that computes.

    Returns:
        Zero stands where nothing was observed, beside a mask.

        | name | shape | content |
        |---|---|---|
        | `segments`, `observed` | (window, step, segment) | values, in the series' units |
        | `level`, `scale` | (window, step) | level and scale of the series as known at each recurrent step |
        | `error`, `change` | (window, step, season) | its seasonal differences as known then, in scales |
        | `lags`, `lags_observed` | (window, origin, horizon, lag) | values whole seasons before each future step |
        | `smoothed`, `drift` | (window, origin, column) | smoothed levels and seasonal differences, in scales |
        | `profile`, `profile_observed` | (window, origin, horizon, season * weight) | means over many cycles; if any |
        | `candidate_error` | (window, origin, candidate + 1) | logarithm of each candidate's recent error, in scales |
        | `lag_level`, `lag_scale` | (window, origin, lag) | level and scale as known when the lag's cycle ended |
        | `target`, `target_observed` | (window, origin, horizon) | the values that came after |
        | `calendar` | (window, step, feature) | of the last time step of each segment |
        | `future_calendar` | (window, origin, horizon, feature) | of each future step |
        | `weight`, `row` | (window,) | of the series: its weight in the loss, its row of the embedding |
        | `static` | (window, column) | rows of its static categories |
        | `static_numbers` | (window, 2 * column) | where the panel has any: in standard deviations, and whether known |
        | `past_covariates` | (window, step, segment * feature) | where the panel has any |
        | `future_covariates` | (window, origin, horizon, feature) | where the panel has any, holidays included |
        | `lag_covariates` | (window, origin, horizon, season * feature) | the same at the newest seasonal lags |
    """
    batch = _Batch(flat, series, origin, window, origins, ops)
    return batch.values() | batch.of_series() | batch.covariates()


class _Batch:
    """The flat positions of one batch of windows, and what the flat arrays hold there.

    Attributes:
        start, end: Shape (window,), where the window's series begins and ends.
        shift: Shape (window,), from flat positions to rows of the calendar.
        context: Shape (window, context step), every time step of the past.
        steps: Shape (window, step), the last time step of each segment.
        origin: Shape (window, origin).
        future: Shape (window, origin, horizon).
    """

    def __init__(
        self, flat: dict[str, Tensor], series: Tensor, origin: Tensor, window: WindowShape, origins: int, ops: Ops
    ) -> None:
        self.flat, self.series, self.window, self.origins, self.ops = flat, series, window, origins, ops
        self.start = ops.take(flat["start"], series)
        self.end = ops.take(flat["end"], series)
        self.shift = ops.take(flat["calendar_shift"], series)
        first = origin - (window.context_length - 1)
        last_of_segment = np.arange(1, window.recurrent_steps + 1, dtype=np.int32) * window.segment - 1
        self.context = first[:, None] + np.arange(window.context_length, dtype=np.int32)[None]
        self.steps = first[:, None] + last_of_segment[None]
        self.origin = self.steps[:, window.recurrent_steps - origins :]
        self.future = self.origin[:, :, None] + np.arange(1, window.horizon + 1, dtype=np.int32)

    def values(self) -> dict[str, Tensor]:
        """Values, their scaling and the calendar."""
        ops, flat, window = self.ops, self.flat, self.window
        values, observed = self._observed(self.context)
        target, target_observed = self._observed(self.future)
        lags, lags_observed = self._observed(self.future[..., None] - window.lags[None, None])
        folded = (-1, window.recurrent_steps, window.segment)
        # A step before the series began borrows the level of its first value; it holds nothing observed.
        known = ops.maximum(self.steps, self.start[:, None])
        at_origin = ops.maximum(self.origin, self.start[:, None])
        cycle_end = ops.maximum(self.origin[..., None] - window.cycle_starts[None, None], self.start[:, None, None])
        return {
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
            "smoothed": ops.take(flat["smoothed"], at_origin, axis=0),
            "drift": ops.take(flat["drift"], at_origin, axis=0),
            "candidate_error": ops.cast(ops.take(flat["candidate_error"], at_origin, axis=0), "float32"),
            **self._profiles(),
            "target": target,
            "target_observed": target_observed,
            "calendar": self._calendar("calendar", self.steps),
            "future_calendar": self._calendar("calendar", self.future),
        }

    def _profiles(self) -> dict[str, Tensor]:
        """Means over many cycles at the newest cycle of each future step, where the window has any."""
        ops, window = self.ops, self.window
        if not window.profile_seasons:
            return {}
        count = len(window.profile_weights)
        at = self.future[..., None] - window.lags[None, None, :, window.profile_columns]
        inside = (at >= self._beside(self.start, at)) & (at < self._beside(self.end, at))
        rows = ops.take(self.flat["profile"], ops.where(inside, at, 0), axis=0)
        # Each season reads its own columns of the row where its cycle lies.
        parts = [rows[:, :, :, season, season * count : (season + 1) * count] for season in range(at.shape[-1])]
        values = self._side_by_side(parts)
        known = ops.repeat(inside, count, axis=-1) & ops.logical_not(ops.isnan(values))
        return {"profile": ops.where(known, values, 0.0), "profile_observed": ops.cast(known, values.dtype)}

    def of_series(self) -> dict[str, Tensor]:
        """What does not change with time."""
        ops, flat = self.ops, self.flat
        batch = {name: ops.take(flat[name], self.series) for name in ("weight", "row")}
        batch["static"] = ops.take(flat["static"], self.series, axis=0)
        if "static_numbers" in flat:
            batch["static_numbers"] = ops.take(flat["static_numbers"], self.series, axis=0)
        return batch

    def covariates(self) -> dict[str, Tensor]:
        """Covariates and holidays, where there are any."""
        ops, window = self.ops, self.window
        batch, past = {}, []
        # Covariates of every time step of a segment, side by side: a promotion in mid-week explains its own day.
        context = ops.maximum(self.context, self.start[:, None])
        if known_ahead := self._known_ahead():
            newest = self.future[..., None] - window.newest_lags[None, None]
            past += [read(context) for read in known_ahead]
            batch["future_covariates"] = self._side_by_side([read(self.future) for read in known_ahead])
            lagged = self._side_by_side([read(newest) for read in known_ahead])
            width = lagged.shape[-2] * lagged.shape[-1]
            batch["lag_covariates"] = ops.reshape(lagged, (-1, self.origins, window.horizon, width))
        if "past_only" in self.flat:
            past.append(ops.take(self.flat["past_only"], context, axis=0))
        if past:
            together = self._side_by_side(past)
            width = window.segment * together.shape[-1]
            batch["past_covariates"] = ops.reshape(together, (-1, window.recurrent_steps, width))
        return batch

    def _known_ahead(self) -> list[Callable[[Tensor], Tensor]]:
        """How to read each kind of covariate that is known over the horizon."""
        readers: list[Callable[[Tensor], Tensor]] = []
        if "future_covariates" in self.flat:
            readers.append(self._future_covariates)
        if "holidays" in self.flat:
            readers.append(lambda position: self._calendar("holidays", position))
        return readers

    def _observed(self, position: Tensor) -> tuple[Tensor, Tensor]:
        """Values at flat positions of shape (window, ...), and 1 where they lie in the series and were observed."""
        ops = self.ops
        start, end = self._beside(self.start, position), self._beside(self.end, position)
        inside = (position >= start) & (position < end)
        values = ops.take(self.flat["values"], ops.where(inside, position, 0), axis=0)
        known = inside & ops.logical_not(ops.isnan(values))
        return ops.where(known, values, 0.0), ops.cast(known, values.dtype)

    def _calendar(self, name: str, position: Tensor) -> Tensor:
        """Rows of an array that is laid out by grid position."""
        row = position + self._beside(self.shift, position)
        return self.ops.take(self.flat[name], self.ops.maximum(row, 0), axis=0)

    def _future_covariates(self, position: Tensor) -> Tensor:
        """Known-future covariates; before the first step and after the last one, those of that step."""
        ops, tail = self.ops, self.flat["covariate_tail"]
        start, end = self._beside(self.start, position), self._beside(self.end, position)
        at = ops.minimum(ops.maximum(position, start), end + tail - 1)
        # Each series has a tail of a horizon, so those of series i begin i horizons later than its values.
        return ops.take(self.flat["future_covariates"], at + self._beside(self.series, position) * tail, axis=0)

    def _beside(self, of_window: Tensor, position: Tensor) -> Tensor:
        """A number of each window, in a shape that broadcasts over positions of shape (window, ...)."""
        return self.ops.reshape(of_window, (-1, *(1,) * (len(position.shape) - 1)))

    def _side_by_side(self, parts: list[Tensor]) -> Tensor:
        return self.ops.concatenate(parts, axis=-1) if len(parts) > 1 else parts[0]
