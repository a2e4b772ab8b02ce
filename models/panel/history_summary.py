"""A summary of old history, a few numbers for each series: with it, a night needs to read only the newest rows."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from models.arrays import Float32Array, FloatArray, IntArray, StringArray
from models.panel.panel import Panel
from models.panel.positions import LATEST


@dataclass(frozen=True)
class HistorySummary:
    """A panel up to one step, in a few numbers for each series.

    The summary and all rows from a season before that step give the same counts and seasonal changes as the whole
    panel, and the newest value of each place of the season.

    Attributes:
        until: Grid position of the last step that is summarised.
        season_length: In steps.
        series_ids: Shape (series,), sorted; series without a value up to `until` are among them.
        first: Shape (series,), grid position of the oldest value; LATEST where there is none up to `until`.
        observed: Shape (series,), number of values.
        change: Shape (series,), sum of |y(t) - y(t - season)|.
        changes: Shape (series,), number of these differences.
        old_series: Shape (old,), row of the series of each old value, ascending. A value is old if it is the newest of
            its place of the season and lies a season or more before `until`.
        old_index: Shape (old,), grid positions of the old values, ascending in each series.
        old_value: Shape (old,), the old values.
        static: Column name to one category per series, as `Panel.static`.
        static_numbers: As `Panel.static_numbers`.
    """

    until: int
    season_length: int
    series_ids: StringArray
    first: IntArray
    observed: IntArray
    change: FloatArray
    changes: IntArray
    old_series: IntArray
    old_index: IntArray
    old_value: Float32Array
    static: dict[str, StringArray] = field(default_factory=dict)
    static_numbers: Float32Array | None = None

    def __len__(self) -> int:
        return len(self.series_ids)

    @classmethod
    def of(cls, panel: Panel, until: int) -> HistorySummary:
        """Summarise what a panel holds up to grid position `until`."""
        season = panel.season_lengths[0]
        change, changes = seasonal_changes(panel, season, np.array([until]))
        first, observed = np.full(len(panel), LATEST), np.zeros(len(panel), np.int64)
        old = [(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32))]
        for rows, values in panel.stretches():
            offsets = panel.offsets[rows.start : rows.stop + 1] - panel.offsets[rows.start]
            place = np.flatnonzero(~np.isnan(values))
            series = np.searchsorted(offsets, place, side="right") - 1
            index = panel.cutoff_index + 1 - offsets[series + 1] + place
            covered = index <= until
            place, series, index = place[covered], series[covered], index[covered]
            observed[rows] = np.bincount(series, minlength=rows.stop - rows.start)
            np.minimum.at(first[rows], series, index)
            # Most series have all places of their newest season, and nothing older is needed of them.
            recent = np.bincount(series[index > until - season], minlength=rows.stop - rows.start)
            lacking = recent[series] < season
            kept = np.flatnonzero(lacking)[_newest_of_each(series[lacking], index[lacking] % season)]
            kept = kept[index[kept] <= until - season]
            old.append((series[kept] + rows.start, index[kept], values[place[kept]]))
        old_series, old_index, old_value = (np.concatenate(each) for each in zip(*old, strict=True))
        return cls(
            until=until,
            season_length=season,
            series_ids=panel.series_ids,
            first=first,
            observed=observed,
            change=change[:, 0],
            changes=changes[:, 0].astype(np.int64),
            old_series=old_series,
            old_index=old_index,
            old_value=old_value,
            static=panel.static,
            static_numbers=panel.static_numbers,
        )


@dataclass(frozen=True)
class Window:
    """The part of the history that a night reads, and the summary of the rest.

    Attributes:
        since: Grid position from which all rows are used; a season before `summary.until`, or earlier.
        summary: The summary of what is older.
    """

    since: int
    summary: HistorySummary

    def __post_init__(self) -> None:
        if self.since > self.summary.until - self.summary.season_length:
            raise ValueError(
                f"Rows from grid position {self.since} on and a summary until {self.summary.until} leave a gap; read "
                f"rows from {self.summary.until - self.summary.season_length} on, or earlier."
            )

    @property
    def read_since(self) -> int:
        """Grid position from which rows are read: a season earlier than needed.

        A query may exclude the step of its bound, and the bound may cut an hour that came twice in two.
        """
        return self.since - self.summary.season_length

    def place(self, series_ids: StringArray) -> IntArray:
        """The position of each series of the summary among `series_ids`, which are sorted and hold all of them."""
        return np.asarray(np.searchsorted(series_ids, self.summary.series_ids), np.int64)

    def starts(self, series_ids: StringArray) -> IntArray:
        """Grid position at which a panel begins each of `series_ids`; LATEST where the series begins with its rows."""
        starts = np.full(len(series_ids), LATEST)
        starts[self.place(series_ids)] = np.where(self.summary.first <= self.since, self.since, LATEST)
        return starts

    def observed_counts(self, panel: Panel) -> IntArray:
        """Number of values of each series, old and new, shape (series,)."""
        counts = np.zeros(len(panel), np.int64)
        newer = panel.cutoff_index - self.summary.until
        for rows, values in panel.stretches():
            offsets = panel.offsets[rows.start : rows.stop + 1] - panel.offsets[rows.start]
            place = np.flatnonzero(~np.isnan(values))
            series = np.searchsorted(offsets, place, side="right") - 1
            new = offsets[series + 1] - place <= newer
            counts[rows] = np.bincount(series[new], minlength=rows.stop - rows.start)
        counts[self.place(panel.series_ids)] += self.summary.observed
        return counts

    def with_old_values(self, panel: Panel) -> Panel:
        """The panel with the old values of the summary, each at its step, and NaN between them.

        Args:
            panel: Without covariates that change with time; they are added later.
        """
        summary = self.summary
        old = summary.old_index < self.since
        if not old.any():
            return panel
        series = self.place(panel.series_ids)[summary.old_series[old]]
        before_end = panel.cutoff_index - summary.old_index[old]
        lengths = panel.lengths.copy()
        np.maximum.at(lengths, series, before_end + 1)
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        values = np.full(int(offsets[-1]), np.nan, np.float32)
        values[np.arange(len(panel.values)) + np.repeat(offsets[1:] - panel.offsets[1:], panel.lengths)] = panel.values
        values[offsets[series + 1] - 1 - before_end] = summary.old_value[old]
        return replace(panel, values=values, offsets=offsets)

    def with_old_static(
        self,
        series_ids: StringArray,
        categories: dict[str, StringArray],
        numbers: Float32Array | None,
    ) -> tuple[dict[str, StringArray], Float32Array | None]:
        """Static categories and numbers of the series; those of the summary where the new rows have none."""
        place, known = self.place(series_ids), self.summary.static_numbers
        found = {}
        for name, column in categories.items():
            then = np.zeros(len(series_ids), self.summary.static[name].dtype)
            then[place] = self.summary.static[name]
            found[name] = np.where(column == "", then, column)
        if numbers is not None and known is not None:
            numbers = numbers.copy()
            numbers[place] = np.where(np.isnan(numbers[place]), known, numbers[place])
        return found, numbers


def seasonal_changes(
    panel: Panel, season_length: int, nights: IntArray, after: int | None = None
) -> tuple[FloatArray, FloatArray]:
    """Sum and number of each series' |y(t) - y(t - season)|, up to the cutoff of each night.

    Args:
        panel: The series.
        season_length: In steps.
        nights: Shape (night,), grid positions of their cutoffs, ascending.
        after: Count only changes at steps after this grid position; None for all.

    Returns:
        Both of shape (series, night).
    """
    # Each change is added to the first night that knew it, for each series apart: in a running sum over all values,
    # small series after one of huge numbers would lose their digits.
    sums, counts = np.zeros((2, len(panel), len(nights) + 1))
    for rows, values in panel.stretches():
        offsets = panel.offsets[rows.start : rows.stop + 1] - panel.offsets[rows.start]
        wide = values.astype(np.float64)
        change = np.abs(wide[season_length:] - wide[:-season_length])
        earlier = np.flatnonzero(~np.isnan(change))
        owner = np.searchsorted(offsets, earlier + season_length, side="right") - 1
        index = panel.cutoff_index + 1 - (offsets[owner + 1] - earlier - season_length)
        # The first season of a series must not be compared with the end of the series before it.
        inside = earlier >= offsets[owner]
        if after is not None:
            inside &= index > after
        earlier, owner, index = earlier[inside], owner[inside], index[inside]
        bin_of = owner * counts.shape[1] + np.searchsorted(nights, index)
        shape = sums[rows].shape
        sums[rows] = np.bincount(bin_of, change[earlier], sums[rows].size).reshape(shape)
        counts[rows] = np.bincount(bin_of, minlength=sums[rows].size).reshape(shape)
    return sums[:, :-1].cumsum(axis=1), counts[:, :-1].cumsum(axis=1)


def _newest_of_each(series: IntArray, place: IntArray) -> IntArray:
    """The last row for each pair of a series and a place of the season, ascending."""
    if not len(series):
        return np.zeros(0, np.int64)
    key = series * (int(place.max()) + 1) + place
    _, from_end = np.unique(key[::-1], return_index=True)
    return np.sort(len(key) - 1 - from_end)
