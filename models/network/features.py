"""A panel as the flat arrays that windows are gathered from."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from typing import Any

import numpy as np

from models.arrays import AnyArray, Float32Array, Int32Array, IntArray
from models.calendar.calendar_features import calendar_features
from models.calendar.grid import TimeGrid
from models.calendar.public_holidays import holiday_features
from models.errors import ModelError
from models.metrics.seasonal_error import seasonal_error
from models.network.scaling import Scaling, scale_panel, step_spread
from models.panel.panel import Panel
from models.panel.parallel import in_blocks

Arrays = dict[str, AnyArray]

# What `scale_panel` says of each flat position.
SCALED = "level", "scale", "error", "change"
# Covariates beyond this many standard deviations say no more than the limit does.
COVARIATE_LIMIT = 10.0
# Values whose working space is held at once, on each core.
AT_ONCE = 200_000


@dataclass
class Vocabulary:
    """What a network has learnt rows for; it only ever grows, so that rows keep their meaning.

    Attributes:
        series: Series id to row of the series embedding; row 0 is for unknown series.
        categories: For each static column, category to row; row 0 is for unknown ones.
        known_future: For each such column, its mean and standard deviation.
        observed_past: The same.
        static_numbers: The same, over the series.
        holidays: Places whose holidays it sees.
    """

    series: dict[str, int] = field(default_factory=dict)
    categories: dict[str, dict[str, int]] = field(default_factory=dict)
    known_future: dict[str, tuple[float, float]] = field(default_factory=dict)
    observed_past: dict[str, tuple[float, float]] = field(default_factory=dict)
    static_numbers: dict[str, tuple[float, float]] = field(default_factory=dict)
    holidays: tuple[str, ...] = ()

    @classmethod
    def of(cls, panel: Panel) -> Vocabulary:
        """Rows for everything in a panel."""
        return cls(
            series={str(name): row for row, name in enumerate(panel.series_ids, start=1)},
            categories={
                column: {str(name): row for row, name in enumerate(np.unique(values[values != ""]), start=1)}
                for column, values in panel.static.items()
            },
            known_future=_moments(panel.known_future, panel.known_future_names),
            observed_past=_moments(panel.observed_past, panel.observed_past_names),
            static_numbers=_moments(panel.static_numbers, panel.static_number_names),
            holidays=panel.holidays,
        )

    def grown(self, panel: Panel) -> Vocabulary:
        """This vocabulary with rows added for the panel's new series and categories."""
        series = dict(self.series)
        for name in panel.series_ids:
            series.setdefault(str(name), len(series) + 1)
        categories = {column: dict(rows) for column, rows in self.categories.items()}
        for column, rows in categories.items():
            for name in np.unique(panel.static[column]):
                if name:
                    rows.setdefault(str(name), len(rows) + 1)
        return replace(self, series=series, categories=categories)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Vocabulary:
        moments = {
            key: {name: (float(mean), float(deviation)) for name, (mean, deviation) in content.get(key, {}).items()}
            for key in ("known_future", "observed_past", "static_numbers")
        }
        holidays = tuple(content.get("holidays", ()))
        return cls(dict(content["series"]), dict(content["categories"]), holidays=holidays, **moments)


def _moments(values: Float32Array | None, names: tuple[str, ...]) -> dict[str, tuple[float, float]]:
    if values is None:
        return {}
    # Importing it takes two seconds, and only a night that trains needs it.
    from sklearn.preprocessing import StandardScaler

    seen = ~np.isnan(values).all(axis=0)
    # The scaler leaves NaN out, but refuses a column of nothing else; a constant column gets a scale of 1.
    scaler = StandardScaler().fit(np.where(seen, values, 0.0).astype(np.float64))
    return {name: (float(scaler.mean_[i]), float(scaler.scale_[i])) for i, name in enumerate(names)}


def flatten(
    panel: Panel,
    vocabulary: Vocabulary,
    *,
    level_window: int,
    scale_window: int,
    seasons: tuple[int, ...],
    at: IntArray | None = None,
    first: int | None = None,
) -> Arrays:
    """Everything that `windows.gather` reads, as NumPy arrays of float32 and int32.

    Args:
        panel: The series.
        vocabulary: Rows of series and categories, and the scale of covariates.
        level_window: Steps over which the trailing level is taken.
        scale_window: Steps over which trailing scale and seasonal error are taken.
        seasons: Season lengths in steps.
        at: Shape (position,), where level, scale, error and change are wanted, NaN elsewhere, for a forecast, which
            needs no weight in a loss either; None for everywhere.
        first: Grid position from which the calendar is laid out, no later than any series begins; None for where
            the longest one does.

    Raises:
        ModelError: where the panel lacks a covariate that the vocabulary has.

    Returns:
        `values`, `level`, `scale` (total,); `error`, `change` (total, season); `start`, `end`, `calendar_shift`,
        `weight`, `row` (series,); `static` (series, column); `calendar` (grid position, feature); where holidays
        matter, `holidays` (grid position, feature); and, where there are covariates, `static_numbers` (series,
        2 * column), values beside whether they are known, `future_covariates` (total + series * horizon, column),
        `covariate_tail` and `past_only` (total, column).
    """

    def scaled(part: Panel, _: int = 0) -> Scaling:
        return scale_panel(part, level_window, scale_window, seasons, at)

    # Everywhere takes a score of numbers of working space a value, so it is done a few series at a time.
    scaling = in_blocks(panel, scaled, AT_ONCE) if at is None else [scaled(panel)]
    if first is None:
        first = panel.cutoff_index + 1 - int(panel.lengths.max(initial=1))
    grid = panel.grid
    last = panel.cutoff_index + panel.horizon
    arrays: Arrays = {
        "values": panel.values,
        **{name: _everywhere([getattr(each, name) for each in scaling], at, len(panel.values)) for name in SCALED},
        "start": panel.offsets[:-1].astype(np.int32),
        "end": panel.offsets[1:].astype(np.int32),
        "calendar": _calendar(grid, first, last),
        "calendar_shift": (panel.cutoff_index + 1 - panel.offsets[1:] - first).astype(np.int32),
        "weight": np.concatenate(in_blocks(panel, _weight, AT_ONCE)) if at is None else np.ones(len(panel), np.float32),
        "row": np.array([vocabulary.series.get(str(name), 0) for name in panel.series_ids], np.int32),
        "static": _codes(panel, vocabulary),
    }
    if vocabulary.holidays:
        arrays["holidays"] = _holidays(grid, first, last, vocabulary.holidays)
    if vocabulary.static_numbers:
        numbers, names = panel.static_numbers, panel.static_number_names
        known = ~np.isnan(_chosen(numbers, names, vocabulary.static_numbers))
        arrays["static_numbers"] = np.concatenate(
            [_scaled(numbers, names, vocabulary.static_numbers), known.astype(np.float32)], axis=1
        )
    if vocabulary.known_future:
        arrays["future_covariates"] = _scaled(panel.known_future, panel.known_future_names, vocabulary.known_future)
        arrays["covariate_tail"] = np.int32(panel.horizon)  # type: ignore[assignment]
    if vocabulary.observed_past:
        arrays["past_only"] = _scaled(panel.observed_past, panel.observed_past_names, vocabulary.observed_past)
    return arrays


# Blocks of series and members of an ensemble ask for the same stretch.
@lru_cache(maxsize=8)
def _calendar(grid: TimeGrid, first: int, last: int) -> Float32Array:
    return calendar_features(grid, first, last)[0]


@lru_cache(maxsize=8)
def _holidays(grid: TimeGrid, first: int, last: int, places: tuple[str, ...]) -> Float32Array:
    return holiday_features(grid, first, last, places)[0]


def _everywhere(parts: list[Float32Array], at: IntArray | None, total: int) -> Any:
    """Values at some flat positions in their places, NaN in all others, so that reading one of those shows."""
    values = np.concatenate(parts)
    if at is None:
        return values
    array = np.full((total, *values.shape[1:]), np.nan, np.float32)
    array[at] = values
    return array


def _weight(panel: Panel, _: int = 0) -> Float32Array:
    """Losses count in units of what the seasonal naive errs by, so that no series speaks louder than another."""
    error = seasonal_error(panel.values, panel.offsets, panel.season_lengths[0])
    return (1.0 / np.where(np.isfinite(error) & (error > 0), error, step_spread(panel))).astype(np.float32)


def _codes(panel: Panel, vocabulary: Vocabulary) -> Int32Array:
    """Rows of the static categories, shape (series, column), in the vocabulary's order of columns."""
    _require(vocabulary.categories, panel.static)
    columns = [
        [rows.get(str(value), 0) for value in panel.static[name]] for name, rows in vocabulary.categories.items()
    ]
    return np.array(columns, np.int32).reshape(len(columns), len(panel)).T.copy()


def _require(wanted: Collection[str], there: Collection[str]) -> None:
    missing = [name for name in wanted if name not in there]
    if missing:
        raise ModelError(
            f"The version was trained with the covariates {list(wanted)}, and the panel has no {missing}; "
            "name them in the job again, or train from scratch."
        )


def _chosen(values: Float32Array | None, names: tuple[str, ...], known: dict[str, tuple[float, float]]) -> Float32Array:
    """The columns that were learnt, in the order in which they were: a job may name them in another one."""
    _require(known, names)
    assert values is not None
    return values if names == tuple(known) else values[:, [names.index(name) for name in known]]


def _scaled(values: Float32Array | None, names: tuple[str, ...], known: dict[str, tuple[float, float]]) -> Float32Array:
    """Covariates in standard deviations from their mean; 0 where not known."""
    moments = np.array(list(known.values()))
    scaled = (_chosen(values, names, known).astype(np.float64) - moments[:, 0]) / moments[:, 1]
    known_ones = np.clip(scaled, -COVARIATE_LIMIT, COVARIATE_LIMIT)
    return np.where(np.isnan(known_ones), 0.0, known_ones).astype(np.float32)
