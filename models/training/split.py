"""Which windows train the network, and which validate it: the newest steps of every series are held out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from models.arrays import BoolArray, FloatArray, Int32Array, IntArray
from models.network.plan import Plan

VALIDATION_WINDOWS = 2_048
FEW_WINDOWS = 256
VALIDATION_BATCH = 512


@dataclass(frozen=True)
class Origins:
    """The origins from which windows are drawn; with a half-life, newer ones are drawn more often.

    Its arrays are as long as the list of series, not as long as their values.

    Attributes:
        newest: Shape (series,), flat position of the newest origin.
        count: Shape (series,), number of origins, one at each step; 0 for none.
        half_life: Age in steps at which an origin is drawn half as often; 0 for never.
    """

    newest: IntArray
    count: IntArray
    half_life: float

    def __len__(self) -> int:
        return int(self.count.sum())

    @cached_property
    def _remaining(self) -> FloatArray:
        """Shape (series,): the weight of the series' oldest origin relative to its newest."""
        return np.asarray(0.5 ** (self.count / self.half_life), np.float64)

    @cached_property
    def _cumulative(self) -> FloatArray:
        """Shape (series,): the share of draws that go to this series or to one before it."""
        weight = 1 - self._remaining if self.half_life else self.count.astype(np.float64)
        return np.asarray(np.cumsum(weight) / weight.sum())

    def draw(self, random: np.random.Generator, count: int) -> Int32Array:
        """Pairs (series, origin), shape (count, 2)."""
        # Series without origins have no weight; searching to the right skips them.
        series = np.searchsorted(self._cumulative, random.random(count), side="right")
        uniform = random.random(count)
        if self.half_life:
            # The inverse distribution function of the age, which ends where the series begins.
            age = -self.half_life * np.log2(1 - uniform * (1 - self._remaining[series]))
        else:
            age = uniform * self.count[series]
        whole = np.minimum(age.astype(np.int64), self.count[series] - 1)
        return np.stack([series, self.newest[series] - whole], axis=1).astype(np.int32)


@dataclass(frozen=True)
class Windows:
    """Windows for training and for validation.

    Attributes:
        training: Origins whose targets begin before the held-out steps.
        everything: Origins with at least one step after them.
        validation: Pairs (series, origin) whose targets are held out, shape (window, 2).
        end: Shape (series,), where the held-out steps of each series begin; int32.
        full_end: Shape (series,), where each series' observed values end; int32.
    """

    training: Origins
    everything: Origins
    validation: Int32Array
    end: Int32Array
    full_end: Int32Array

    def in_equal_parts(self, parts: int) -> Windows:
        """The same, with the first validation windows repeated until `parts` divides their number."""
        count = -(-len(self.validation) // parts) * parts
        return replace(self, validation=np.resize(self.validation, (count, 2)))


def choose_windows(panel_offsets: IntArray, observed: BoolArray, plan: Plan) -> Windows:
    """All windows of the series, the newest held out for validation.

    Args:
        panel_offsets: Shape (series + 1,).
        observed: Shape (total,).
        plan: Horizon, segment, seasons and half-life.
    """
    start = panel_offsets[:-1]
    last = np.array(
        [
            stretch[-1] if len(stretch := np.flatnonzero(observed[a:b])) else -1
            for a, b in zip(start, panel_offsets[1:], strict=True)
        ]
    )
    full_end = start + last + 1
    # Two seasons of hours validate better than a horizon of two days. A short series gives up a sixth at most.
    wanted = max(plan.horizon, 2 * max(plan.seasons))
    hold = np.minimum(wanted, (last + 1) // 6)
    end = full_end - hold
    first = start + plan.segment - 1
    half_life = plan.half_life * float(np.median((last + 1)[last >= 0])) if (last >= 0).any() else 0.0
    training, everything = (Origins(stop - 2, np.maximum(stop - 1 - first, 0), half_life) for stop in (end, full_end))
    oldest = np.maximum(end - 1, start)
    after_newest = np.maximum(full_end - np.minimum(plan.horizon, hold), oldest + (hold > 0))
    # Few series are validated from every step: with a handful of windows, chance would choose the weights.
    stride = int(np.clip((after_newest - oldest).sum() // FEW_WINDOWS, 1, plan.segment))
    validation = _pairs(oldest, after_newest, stride)
    if len(validation) > VALIDATION_WINDOWS:
        validation = validation[np.linspace(0, len(validation) - 1, VALIDATION_WINDOWS).astype(np.int64)]
    return Windows(training, everything, validation, end.astype(np.int32), full_end.astype(np.int32))


def _pairs(first: IntArray, end: IntArray, stride: int) -> Int32Array:
    """(series, origin) for every origin first, first + stride, ... before `end` of every series."""
    count = np.maximum(0, -((first - end) // stride))
    series = np.repeat(np.arange(len(first)), count)
    place = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    return np.stack([series, first[series] + place * stride], axis=1).astype(np.int32)
