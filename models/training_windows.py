"""Which windows a network learns from, and which judge it: the newest steps of every series are held out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.choices import Plan

Index = npt.NDArray[np.int32]

VALIDATION_WINDOWS = 2_048


@dataclass(frozen=True)
class Windows:
    """Windows to learn from and to validate on, each a pair (series, origin) of shape (window, 2).

    Attributes:
        training: Windows whose targets end before the held-out steps begin.
        validation: Windows whose targets are held out.
        all: Both.
        end: Shape (series,), where the held-out steps of each series begin; int32.
        full_end: Shape (series,), where each series' observed values end; int32.
    """

    training: Index
    validation: Index
    all: Index
    end: Index
    full_end: Index


def choose_windows(panel_offsets: npt.NDArray[np.int64], observed: npt.NDArray[np.bool_], plan: Plan) -> Windows:
    """All windows of the series, the newest held out for validation.

    Args:
        panel_offsets: Shape (series + 1,).
        observed: Shape (total,).
        plan: Horizon, segment and seasons.
    """
    start = panel_offsets[:-1]
    last = np.array(
        [
            stretch[-1] if len(stretch := np.flatnonzero(observed[a:b])) else -1
            for a, b in zip(start, panel_offsets[1:], strict=True)
        ]
    )
    full_end = start + last + 1
    # A few weeks of hours are a better judge than two days; a short series gives up a sixth at most.
    wanted = max(plan.horizon, 2 * max(plan.seasons))
    hold = np.minimum(wanted, (last + 1) // 6)
    end = full_end - hold
    everything = _pairs(start + plan.segment - 1, full_end - 1)
    training = everything[everything[:, 1] < end[everything[:, 0]] - 1]
    first = np.maximum(end - 1, start)
    validation = _pairs(first, np.maximum(full_end - np.minimum(plan.horizon, hold), first + (hold > 0)), plan.segment)
    if len(validation) > VALIDATION_WINDOWS:
        validation = validation[np.linspace(0, len(validation) - 1, VALIDATION_WINDOWS).astype(np.int64)]
    return Windows(training, validation, everything, end.astype(np.int32), full_end.astype(np.int32))


def _pairs(first: npt.NDArray[np.int64], end: npt.NDArray[np.int64], stride: int = 1) -> Index:
    """(series, origin) for every origin first, first + stride, ... before `end` of every series."""
    count = np.maximum(0, -((first - end) // stride))
    series = np.repeat(np.arange(len(first)), count)
    place = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    return np.stack([series, first[series] + place * stride], axis=1).astype(np.int32)
