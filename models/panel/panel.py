"""The panel: many series in one flat array, all ending at the cutoff.

Series `i` covers the grid positions `cutoff_index - length(i) + 1 .. cutoff_index`; its values are
`values[offsets[i]:offsets[i + 1]]`. Known-future covariates continue `horizon` steps further, so those of series `i`
start at `offsets[i] + i * horizon`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise

import numpy as np

from models.arrays import BoolArray, Float32Array, FloatArray, IntArray, StringArray
from models.calendar.frequency import WeekLabel
from models.calendar.grid import TimeGrid

# Values that are worked on at once where the work takes several times their memory.
STRETCH = 1 << 20


@dataclass(frozen=True)
class Panel:
    """Series on one time grid, end to end in one float32 array.

    Attributes:
        values: Shape (total,), float32; NaN where not observed.
        offsets: Shape (series + 1,); series `i` is `values[offsets[i]:offsets[i + 1]]`.
        series_ids: Shape (series,), strings, sorted.
        frequency: The grid's pandas offset alias.
        time_zone: The zone of the grid's days.
        week_label: The day of a week that names it, see `TimeGrid`.
        origin: One step of the grid, see `TimeGrid`.
        cutoff_index: Grid position of every series' last value (see `TimeGrid`).
        season_lengths: In steps, shortest first.
        horizon: Steps after the cutoff for which known-future covariates are given.
        static: Column name to one category (string) per series, shape (series,).
        static_numbers: Shape (series, columns); NaN where unknown.
        static_number_names: The columns' names.
        known_future: Shape (total + series * horizon, columns); NaN where unknown.
        known_future_names: The columns' names.
        observed_past: Shape (total, columns); NaN where unknown.
        observed_past_names: The columns' names.
        holidays: Countries and regions whose public holidays the network sees, see `public_holidays`.
        refused: Series id to the reason why the model must not forecast it.
    """

    values: Float32Array
    offsets: IntArray
    series_ids: StringArray
    frequency: str
    cutoff_index: int
    season_lengths: tuple[int, ...]
    horizon: int
    time_zone: str = "UTC"
    week_label: WeekLabel = "last_day"
    origin: str | None = None
    static: dict[str, StringArray] = field(default_factory=dict)
    static_numbers: Float32Array | None = None
    static_number_names: tuple[str, ...] = ()
    known_future: Float32Array | None = None
    known_future_names: tuple[str, ...] = ()
    observed_past: Float32Array | None = None
    observed_past_names: tuple[str, ...] = ()
    holidays: tuple[str, ...] = ()
    refused: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.offsets[-1] != len(self.values) or len(self.offsets) != len(self.series_ids) + 1:
            raise ValueError(
                f"offsets {self.offsets.shape} ending at {self.offsets[-1]} do not cut {len(self.values)} values "
                f"into {len(self.series_ids)} series; give series + 1 offsets, the last one equal to the number of "
                "values."
            )

    def __len__(self) -> int:
        return len(self.series_ids)

    @cached_property
    def grid(self) -> TimeGrid:
        """The time grid of all series."""
        return TimeGrid(self.frequency, self.time_zone, self.week_label, self.origin)

    @property
    def accepted_ids(self) -> StringArray:
        """Ids of the series that the model may forecast."""
        return self.series_ids[~np.isin(self.series_ids, np.array(list(self.refused), dtype=str))]

    @property
    def covariates(self) -> dict[str, list[str]]:
        """Names of the covariates of each kind, sorted; kinds without any are left out."""
        kinds = {
            "static": self.static,
            "static_numbers": self.static_number_names,
            "known_future": self.known_future_names,
            "observed_past": self.observed_past_names,
        }
        return {kind: sorted(names) for kind, names in kinds.items() if names}

    @cached_property
    def lengths(self) -> IntArray:
        """Number of grid steps of each series, shape (series,)."""
        return np.asarray(np.diff(self.offsets), np.int64)

    @cached_property
    def observed(self) -> BoolArray:
        """Where a value was observed, shape (total,)."""
        return ~np.isnan(self.values)

    @cached_property
    def observed_counts(self) -> IntArray:
        """Number of observed values of each series, shape (series,)."""
        counts = np.zeros(len(self), np.int64)
        for rows, values in self.stretches():
            counts[rows] = _count(~np.isnan(values), self._edges(rows))
        return counts

    @cached_property
    def silent_steps(self) -> IntArray:
        """Steps since the last observed value of each series, its whole length where there is none; shape (series,)."""
        silent = self.lengths.copy()
        for rows, values in self.stretches():
            edges, place = self._edges(rows), np.flatnonzero(~np.isnan(values))
            before = np.searchsorted(place, edges[1:])
            last = np.append(place, -1)[before - 1]
            silent[rows] = np.where(last >= edges[:-1], edges[1:] - 1 - last, silent[rows])
        return silent

    @cached_property
    def first_observed(self) -> FloatArray:
        """The first observed value of each series, 0 where there is none; shape (series,)."""
        first = np.zeros(len(self))
        for rows, values in self.stretches():
            edges, place = self._edges(rows), np.flatnonzero(~np.isnan(values))
            at = np.append(place, len(values))[np.searchsorted(place, edges[:-1])]
            first[rows] = np.where(at < edges[1:], np.append(values, np.float32(0))[at], 0.0)
        return first

    @cached_property
    def constant(self) -> BoolArray:
        """Whether all observed values of a series are equal, shape (series,)."""
        constant = np.ones(len(self), bool)
        for rows, values in self.stretches():
            first = np.repeat(self.first_observed[rows].astype(np.float32), self.lengths[rows])
            constant[rows] = _count(~np.isnan(values) & (values != first), self._edges(rows)) == 0
        return constant

    def stretches(self) -> Iterator[tuple[slice, Float32Array]]:
        """Some whole series at a time: their rows, and their values end to end.

        Work on the values may take ten times their memory; stretches limit that. A series longer than a stretch is a
        stretch of its own.
        """
        cuts = np.searchsorted(self.offsets, np.arange(0, self.offsets[-1], STRETCH))
        for first, last in pairwise(np.unique([0, *cuts, len(self)]).tolist()):
            yield slice(first, last), self.values[self.offsets[first] : self.offsets[last]]

    def _edges(self, rows: slice) -> IntArray:
        """Where each of some neighbouring series begins among their values, and where the last one ends."""
        return np.asarray(self.offsets[rows.start : rows.stop + 1] - self.offsets[rows.start])

    def series(self, i: int) -> Float32Array:
        """The values of series `i`, oldest first, a view of shape (length,)."""
        return self.values[self.offsets[i] : self.offsets[i + 1]]

    def without(self, series_ids: Collection[str]) -> Panel:
        """The panel without some series; the panel itself if it holds none of them."""
        keep = ~np.isin(self.series_ids, np.array(list(series_ids), dtype=str))
        if keep.all():
            return self
        steps = np.repeat(keep, self.lengths)
        known = None if self.known_future is None else self.known_future[np.repeat(keep, self.lengths + self.horizon)]
        return replace(
            self,
            values=self.values[steps],
            offsets=np.concatenate([[0], np.cumsum(self.lengths[keep])]).astype(np.int64),
            series_ids=self.series_ids[keep],
            static={name: column[keep] for name, column in self.static.items()},
            static_numbers=None if self.static_numbers is None else self.static_numbers[keep],
            known_future=known,
            observed_past=None if self.observed_past is None else self.observed_past[steps],
            refused={name: reason for name, reason in self.refused.items() if name not in series_ids},
        )

    def part(self, series: slice) -> Panel:
        """The panel of some neighbouring series; its arrays are views of this panel's.

        Args:
            series: Their rows, with both ends and without a step; the end may lie beyond the last series.
        """
        first, end = series.start, min(series.stop, len(self))
        begins, ends = int(self.offsets[first]), int(self.offsets[end])
        ids = self.series_ids[first:end]
        ahead = slice(begins + first * self.horizon, ends + end * self.horizon)
        return replace(
            self,
            values=self.values[begins:ends],
            offsets=self.offsets[first : end + 1] - begins,
            series_ids=ids,
            static={name: column[first:end] for name, column in self.static.items()},
            static_numbers=None if self.static_numbers is None else self.static_numbers[first:end],
            known_future=None if self.known_future is None else self.known_future[ahead],
            observed_past=None if self.observed_past is None else self.observed_past[begins:ends],
            refused={name: self.refused[name] for name in ids.tolist() if name in self.refused} if self.refused else {},
        )

    def newest(self, steps: int) -> Panel:
        """The panel with at most the last `steps` steps of every series; the panel itself if none is longer."""
        kept = np.minimum(self.lengths, steps)
        if (kept == self.lengths).all():
            return self

        def last(lengths: IntArray, ends: IntArray) -> IntArray:
            return np.arange(lengths.sum()) + np.repeat(ends - np.cumsum(lengths), lengths)

        inside, known = last(kept, self.offsets[1:]), self.known_future
        if known is not None:
            ahead = self.horizon * np.arange(1, len(self) + 1)
            known = known[last(kept + self.horizon, self.offsets[1:] + ahead)]
        return replace(
            self,
            values=self.values[inside],
            offsets=np.concatenate([[0], np.cumsum(kept)]).astype(np.int64),
            known_future=known,
            observed_past=None if self.observed_past is None else self.observed_past[inside],
        )

    def tail(self, steps: int, *, skip: int = 0) -> Float32Array:
        """The last `steps` values of every series, aligned at their end.

        Args:
            steps: Number of steps.
            skip: Number of the newest steps to leave out first.

        Returns:
            Shape (series, steps), oldest first; NaN before a series began.
        """
        position = self.offsets[1:, None] - skip - steps + np.arange(steps)
        inside = (position >= self.offsets[:-1, None]) & (position < self.offsets[1:, None])
        rows = self.values[np.clip(position, 0, max(len(self.values) - 1, 0))]
        return np.where(inside, rows, np.float32(np.nan)).astype(np.float32)


def _count(steps: BoolArray, edges: IntArray) -> IntArray:
    """How many steps of each series are true, shape (series,)."""
    running = np.concatenate([[0], np.cumsum(steps)])
    return np.asarray(np.diff(running[edges]), np.int64)


def places_of(wanted: StringArray, known: StringArray) -> IntArray:
    """The positions of ids among others, shape (wanted,); -1 where an id is not among them.

    Args:
        wanted: Shape (wanted,).
        known: Shape (known,), sorted.

    >>> places_of(np.array(["b", "c"]), np.array(["a", "b"]))
    array([ 1, -1])
    """
    if np.array_equal(wanted, known):
        return np.arange(len(wanted))
    if not len(known):
        return np.full(len(wanted), -1)
    place = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
    return np.where(known[place] == wanted, place, -1)
