"""Series whose unit changed: from one step on, all values are ten, a hundred or a thousand times what they were.

Series also change by themselves. A change counts as one of unit only if all of this holds: it is a power of ten; it
happens within one step; it leaves a gap between the values before and after; hardly any earlier or later value lies on
the other side of the gap; and the values vary as much as before, relative to their size.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from models.arrays import Float32Array, FloatArray, IntArray
from models.panel.panel import Panel

# Sizes are logarithms to base 10.
NEAR_POWER = 0.15  # largest distance of the medians' difference from a whole power
GAP = 0.3  # smallest gap between the 90 % quantile of one side and the 10 % quantile of the other
SPREAD = 0.2  # largest difference between the spreads before and after
SUDDEN = 0.6  # share of the change that must lie between the last FEW values before and the first FEW after
FEW = 3
STRAY = 0.05  # largest share of all values before, and of all values after, on the wrong side
LEAST, ENOUGH = 7, 28  # values that each side must have, and values on each side whose spread is compared
# With a longer season, waiting for a whole season of values would take too long.
LONGEST_SEASON = 288


class UnitChanges(NamedTuple):
    """The largest change of each series that has one.

    Attributes:
        series: Shape (change,), indices of the series in the panel.
        position: Shape (change,), place in `panel.values` of the first value in the new unit.
        power: Shape (change,), values are 10 ** power times as large since; negative where they are smaller.
    """

    series: IntArray
    position: IntArray
    power: IntArray


def unit_changes(panel: Panel) -> UnitChanges:
    """The changes of unit in a panel; zeros and steps without a value are skipped.

    A change is found once there are seven values on each side of it, or a whole season of them where steps are shorter
    than a day.

    >>> grams = np.array([1.2, 1.4, 1.1, 1.3] * 5 + [1200, 1300, 1100, 1400] * 3, np.float32)
    >>> panel = Panel(grams, np.array([0, 32]), np.array(["a"]), "D", 31, (7,), 7)
    >>> changes = unit_changes(panel)
    >>> changes.position.tolist(), changes.power.tolist()
    ([20], [3])
    """
    season = min(panel.season_lengths, default=1)
    near = max(LEAST, season if 12 < season <= LONGEST_SEASON and season != 52 else 0)
    none = UnitChanges(*(np.zeros(0, np.int64) for _ in UnitChanges._fields))
    parts = [none, *(_changes(panel, rows.start, rows.stop, values, near) for rows, values in panel.stretches())]
    return UnitChanges(*(np.concatenate(each) for each in zip(*parts, strict=True)))


def _changes(panel: Panel, first: int, last: int, values: Float32Array, near: int) -> UnitChanges:
    origin = panel.offsets[first]
    position = np.flatnonzero((values != 0) & ~np.isnan(values))
    size = np.log10(np.abs(values[position].astype(np.float64)))
    edges = np.searchsorted(position, panel.offsets[first : last + 1] - origin)
    rows = _rows_that_jump(size, edges, near)
    at = _largest_jumps(size, edges[rows], edges[rows + 1], near)
    rows, at = rows[at >= 0], at[at >= 0]
    begin, end = edges[rows], edges[rows + 1]
    power = _powers(size, begin, at, end, near)
    found = power != 0
    return UnitChanges(rows[found] + first, position[at[found]] + origin, power[found])


def _rows_that_jump(size: FloatArray, edges: IntArray, near: int) -> IntArray:
    """Series in which the means of blocks of `near` values differ enough for a closer look."""
    count = np.diff(edges)
    blocks = -(-count // near)
    series = np.repeat(np.arange(len(count)), blocks)
    number = np.arange(len(series)) - np.repeat(np.cumsum(blocks) - blocks, blocks)
    start = edges[series] + number * near
    length = np.minimum(near, edges[series + 1] - start)
    mean = np.add.reduceat(size, start) / length if len(start) else size
    # The change itself may lie within the block between the two.
    jumps = np.zeros(len(series), bool)
    for apart in (1, 2):
        jumps[apart:] |= (series[apart:] == series[:-apart]) & (
            np.abs(mean[apart:] - mean[:-apart]) > 1 - 2 * NEAR_POWER
        )
    return np.unique(series[jumps])


def _largest_jumps(size: FloatArray, begin: IntArray, end: IntArray, near: int) -> IntArray:
    """Where the means of `near` values before and after differ most, shape (series,); -1 where there are too few."""
    total = np.concatenate([[0.0], np.cumsum(size)])
    at = np.full(len(begin), -1, np.int64)
    for i, (first, last) in enumerate(zip(begin.tolist(), end.tolist(), strict=True)):
        if last - first >= 2 * near:
            inside = total[first : last + 1]
            jump = np.abs(inside[2 * near :] - 2 * inside[near:-near] + inside[: -2 * near])
            at[i] = first + near + int(np.argmax(jump))
    return at


def _powers(size: FloatArray, begin: IntArray, at: IntArray, end: IntArray, near: int) -> IntArray:
    """The power of ten of each change, shape (change,); 0 where it is not a change of unit."""
    if not len(at):
        return np.zeros(0, np.int64)
    length = max(ENOUGH, 2 * near)
    before, after = _window(size, at - length, length, begin, at), _window(size, at, length, at, end)
    # Near values have had little time to grow, or to change with the season.
    low, high = _quantile(before[:, -2 * near :], 0.5), _quantile(after[:, : 2 * near], 0.5)
    power = np.round(high - low).astype(np.int64)
    side = np.sign(power)[:, None]
    gap = _quantile(side * after, 0.1) - _quantile(side * before, 0.9)
    step = _quantile(after[:, :FEW], 0.5) - _quantile(before[:, -FEW:], 0.5)
    middle = (low + high) / 2
    return np.where(
        (np.abs(high - low - power) <= NEAR_POWER)
        & (gap >= GAP)
        & (step * side[:, 0] >= SUDDEN * np.abs(power))
        & (np.abs(_spread(after) - _spread(before)) <= SPREAD)
        & (_share_above(size, begin, at, middle, -side[:, 0]) >= 1 - STRAY)
        & (_share_above(size, at, end, middle, side[:, 0]) >= 1 - STRAY),
        power,
        0,
    )


def _window(size: FloatArray, start: IntArray, length: int, begin: IntArray, end: IntArray) -> FloatArray:
    """Shape (change, length): values from `start` on, NaN outside `begin` .. `end`."""
    place = start[:, None] + np.arange(length)
    inside = (place >= begin[:, None]) & (place < end[:, None])
    return np.where(inside, size[np.clip(place, 0, len(size) - 1)], np.nan)


def _spread(part: FloatArray) -> FloatArray:
    return _quantile(np.abs(part - _quantile(part, 0.5)[:, None]), 0.5)


def _quantile(part: FloatArray, quantile_level: float) -> FloatArray:
    """As `np.nanquantile(part, quantile_level, axis=1)`, but not row by row; every row must have a value."""
    ordered = np.sort(part, axis=1)
    rank = quantile_level * ((~np.isnan(part)).sum(axis=1)[:, None] - 1)
    low, high = (np.take_along_axis(ordered, bound(rank).astype(np.int64), axis=1) for bound in (np.floor, np.ceil))
    return np.asarray((low + (high - low) * (rank - np.floor(rank)))[:, 0])


def _share_above(size: FloatArray, begin: IntArray, end: IntArray, limit: FloatArray, side: IntArray) -> FloatArray:
    """Share of the values from `begin` to `end` above (side 1) or below (side -1) a limit, shape (change,)."""
    spans = zip(begin.tolist(), end.tolist(), limit.tolist(), side.tolist(), strict=True)
    return np.array([np.mean(sign * size[first:last] > sign * at) for first, last, at, sign in spans])
