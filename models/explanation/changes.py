"""A panel with one thing changed: the newest level, the season of its history, or a column that is known ahead."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from models.arrays import BoolArray, FloatArray, FloatingArray, IntArray
from models.panel.panel import Panel


def without_level_change(panel: Panel) -> Panel:
    """The panel whose newest season has the mean level of the season before.

    The values of the newest season (the panel's shortest) move by the difference of both means. A series that was not
    observed in one of the two seasons stays as it is.
    """
    season = panel.season_lengths[0]
    before_end = _before_end(panel)
    newest, older = (_means(panel, before_end // season == number) for number in (0, 1))
    change = np.nan_to_num(newest - older)
    moved = np.where(before_end < season, panel.values - np.repeat(change, panel.lengths), panel.values)
    return replace(panel, values=moved.astype(np.float32))


def without_season(panel: Panel) -> Panel:
    """The panel without the mean seasonal pattern of its history, for each season length in turn, the shortest first.

    The pattern is the mean difference, at each place of the season, between a value and the mean of its season, in
    which a steady rise or fall counts as level. Seasons are counted back from the cutoff; the oldest, which is not
    whole, does not count. The pattern of a series with fewer than two whole seasons is not known and stays in.
    """
    for season in panel.season_lengths:
        if season > 1:
            panel = _without_pattern(panel, season)
    return panel


def with_future(panel: Panel, column: str, value: FloatArray | float, steps: BoolArray | None = None) -> Panel:
    """The panel with other values of a known-future column after the cutoff; its history stays.

    Args:
        panel: The series.
        column: One of `panel.known_future_names`.
        value: One number, or one for each series, shape (series,). NaN is "not known".
        steps: Shape (horizon,), the steps to change; None for all of them.
    """
    if panel.known_future is None:
        raise ValueError(f"The panel has no known-future columns, so {column!r} cannot be changed.")
    place = panel.known_future_names.index(column)
    ahead = future_positions(panel)[:, slice(None) if steps is None else np.flatnonzero(steps)]
    known = panel.known_future.copy()
    known[ahead, place] = np.broadcast_to(np.reshape(value, (-1, 1)), ahead.shape)
    return replace(panel, known_future=known)


def usual_values(panel: Panel) -> FloatArray:
    """The usual value of each known-future column for each series, shape (series, column).

    0 for a column that holds only 0 and 1, such as a promotion; else the mean over the history of the series, NaN where
    nothing is known of it.
    """
    if panel.known_future is None:
        return np.zeros((len(panel), 0))
    past = np.ones(len(panel.known_future), bool)
    past[future_positions(panel)] = False
    row = np.repeat(np.arange(len(panel)), panel.lengths + panel.horizon)
    usual = np.zeros((len(panel), len(panel.known_future_names)))
    for place, is_flag in enumerate(flags(panel)):
        if not is_flag:
            known = past & ~np.isnan(panel.known_future[:, place])
            usual[:, place] = _mean_of(row[known], panel.known_future[known, place], len(panel))
    return usual


def flags(panel: Panel) -> list[bool]:
    """For each known-future column whether it holds only 0 and 1."""
    columns = [] if panel.known_future is None else list(panel.known_future.T)
    return [bool(np.isin(column[~np.isnan(column)], (0.0, 1.0)).all()) for column in columns]


def future_positions(panel: Panel) -> IntArray:
    """Where the steps after the cutoff lie in `panel.known_future`, shape (series, horizon)."""
    first = panel.offsets[1:] + panel.horizon * np.arange(len(panel))
    return np.asarray(first[:, None] + np.arange(panel.horizon))


def _without_pattern(panel: Panel, season: int) -> Panel:
    before_end, row = _before_end(panel), np.repeat(np.arange(len(panel)), panel.lengths)
    cycle, place = before_end // season, before_end % season
    whole = panel.observed & (cycle < (panel.lengths // season)[row])
    # One row for each series and cycle.
    cycles = int(panel.lengths.max(initial=0)) // season + 1
    of_cycle = _mean_of((row * cycles + cycle)[whole], panel.values[whole], len(panel) * cycles)
    drift = _drift(of_cycle.reshape(len(panel), cycles)) / season
    level = of_cycle[row * cycles + cycle] - drift[row] * (place - (season - 1) / 2)
    difference = (panel.values - level)[whole]
    pattern = np.nan_to_num(_mean_of((row * season + place)[whole], difference, len(panel) * season))
    enough = (~np.isnan(of_cycle.reshape(len(panel), cycles))).sum(axis=1) >= 2
    taken_out = np.where(enough[row], pattern[row * season + place], 0.0)
    return replace(panel, values=(panel.values - taken_out).astype(np.float32))


def _drift(of_cycle: FloatArray) -> FloatArray:
    """How much a series rises from one cycle to the next: from the oldest known mean to the newest, shape (series,).

    Args:
        of_cycle: Shape (series, cycle), the mean of each cycle, the newest first; NaN where not known.
    """
    known = ~np.isnan(of_cycle)
    rows = np.arange(len(of_cycle))
    newest, oldest = known.argmax(axis=1), of_cycle.shape[1] - 1 - known[:, ::-1].argmax(axis=1)
    rise = of_cycle[rows, newest] - of_cycle[rows, oldest]
    return np.where(known.sum(axis=1) >= 2, rise / np.maximum(oldest - newest, 1), 0.0)


def _before_end(panel: Panel) -> IntArray:
    """How many steps before the cutoff each value lies, shape (total,)."""
    return np.asarray(np.repeat(panel.offsets[1:], panel.lengths) - 1 - np.arange(len(panel.values)))


def _means(panel: Panel, steps: BoolArray) -> FloatArray:
    """The mean observed value of each series over some of its steps, shape (series,); NaN where there is none."""
    row, seen = np.repeat(np.arange(len(panel)), panel.lengths), panel.observed & steps
    return _mean_of(row[seen], panel.values[seen], len(panel))


def _mean_of(group: IntArray, values: FloatingArray, groups: int) -> FloatArray:
    """The mean of each group, shape (groups,); NaN where a group is empty."""
    count = np.bincount(group, minlength=groups)
    total = np.bincount(group, np.asarray(values, np.float64), minlength=groups)
    return np.asarray(np.divide(total, count, out=np.full(groups, np.nan), where=count > 0))
