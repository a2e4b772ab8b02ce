"""How long a window is, and which earlier values a forecast from it starts from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.arrays import Int32Array, IntArray

LONGEST_ERROR_WINDOW, SHORTEST_ERROR_WINDOW = 512, 24


@dataclass(frozen=True)
class WindowShape:
    """How long a window is, and which earlier values its head reads.

    Attributes:
        segment: Time steps that are folded into one recurrent step.
        recurrent_steps: Their number; the context is `segment * recurrent_steps` time steps.
        horizon: Time steps ahead.
        seasons: Season lengths whose earlier cycles the head reads.
        cycles: For each of `seasons`, how many cycles back.
        smoothing: Weights of the newest value in the exponentially smoothed levels and seasonal differences.
        profile_seasons: Those of `seasons` that are averaged over many cycles.
        profile_weights: Weights of the newest cycle in these averages.
    """

    segment: int
    recurrent_steps: int
    horizon: int
    seasons: tuple[int, ...]
    cycles: tuple[int, ...]
    smoothing: tuple[float, ...]
    profile_seasons: tuple[int, ...] = ()
    profile_weights: tuple[float, ...] = ()

    @property
    def context_length(self) -> int:
        """Time steps of the past that a window sees."""
        return self.segment * self.recurrent_steps

    @property
    def lags(self) -> Int32Array:
        """How far before each step of the horizon its seasonal lags lie.

        Shape (horizon, lag). For step h and season m, the newest whole cycle that the origin has seen is
        m * ceil(h / m) back; each older cycle lies one season further.
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
        """The columns of `lags` that hold the newest cycle of each season."""
        return [int(column) for column in np.cumsum([0, *self.cycles])[:-1]]

    @property
    def older(self) -> list[int]:
        """The columns of `lags` that hold an older cycle."""
        return [column for column in range(sum(self.cycles)) if column not in self.newest]

    @property
    def profile_columns(self) -> list[int]:
        """The columns of `lags` that hold the newest cycle of each of `profile_seasons`."""
        return [self.newest[self.seasons.index(season)] for season in self.profile_seasons]

    @property
    def error_leads(self) -> list[int]:
        """The steps ahead over which the errors of candidates are averaged: first, middle and last."""
        return sorted({1, (self.horizon + 1) // 2, self.horizon})

    @property
    def error_window(self) -> int:
        """The last steps over which the errors of candidates are averaged: six seasons, or two of a longer one."""
        return max(6 * min(self.seasons), min(2 * max(self.seasons), LONGEST_ERROR_WINDOW), SHORTEST_ERROR_WINDOW)

    @property
    def candidate_count(self) -> int:
        """Number of simple forecasts: those of `Candidates`, without the level."""
        seasons = len(self.seasons)
        smoothed = (seasons + 1) * len(self.smoothing)
        profiles = len(self.profile_seasons) * len(self.profile_weights)
        return sum(self.cycles) + len(self.older) + seasons + smoothed + profiles

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
        """The flat positions whose level, scale and error a forecast from one origin of each window needs.

        Args:
            start: Shape (window,), where the window's series begins.
            origin: Shape (window,).
        """
        steps = self.segment * np.arange(self.recurrent_steps)
        recent = np.arange(self.error_window + self.horizon)
        back = np.unique(np.concatenate([steps, *(cycle_start + recent for cycle_start in self.cycle_starts)]))
        return np.asarray(np.maximum(origin[:, None] - back, start[:, None]).ravel())
