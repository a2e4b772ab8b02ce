"""A panel as the flat arrays that windows are gathered from."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from functools import lru_cache
from typing import Literal

import numpy as np

from models.arrays import AnyArray, Float32Array, Int32Array, IntArray
from models.calendar.calendar_features import calendar_features
from models.calendar.grid import TimeGrid
from models.calendar.public_holidays import holiday_features
from models.errors import ModelError
from models.metrics.seasonal_error import seasonal_error
from models.network.vocabulary import Moments, Vocabulary
from models.panel.panel import Panel
from models.panel.parallel import in_blocks
from models.trailing.candidates import Candidates
from models.trailing.scaling import scale_panel, step_spread
from models.trailing.window_shape import WindowShape

Arrays = dict[str, AnyArray]
Unseen = Literal["calendar", "holidays"]
"""An input of the time grid that a network can be asked not to see."""

# Covariates are cut this many standard deviations from their mean.
COVARIATE_LIMIT = 10.0
# Values whose working space is held at once, on each core.
AT_ONCE = 200_000


def flatten(
    panel: Panel,
    vocabulary: Vocabulary,
    *,
    level_window: int,
    scale_window: int,
    window: WindowShape,
    origins: IntArray | None = None,
    first: int | None = None,
) -> Arrays:
    """Everything that `windows.gather` reads, as NumPy arrays of float32 and int32.

    Args:
        panel: The series.
        vocabulary: Rows of series and categories, and the scales of covariates.
        level_window: Steps over which the trailing level is taken.
        scale_window: Steps over which trailing scale and seasonal error are taken.
        window: The shape of the windows.
        origins: Shape (origin,), the flat positions of forecast origins. What is derived from the values is NaN where
            no forecast from them needs it, and every weight in the loss is 1. None for every position, as training
            needs it.
        first: Grid position at which the calendar begins, no later than any series does; None for the beginning of
            the longest series.

    Returns:
        | name | shape |
        |---|---|
        | `values`, `level`, `scale` | (total,) |
        | `error`, `change` | (total, season) |
        | `smoothed` | (total, weight) |
        | `drift` | (total, weight * season) |
        | `profile` | (total, season * weight), in the units of the series |
        | `candidate_error` | (total, candidate + 1), float16 |
        | `start`, `end`, `calendar_shift`, `weight`, `row` | (series,) |
        | `static` | (series, column) |
        | `calendar` | (grid position, feature) |
        | `holidays` | (grid position, feature), where the network sees holidays |
        | `static_numbers` | (series, 2 * column), where there are any: values, then whether each is known |
        | `future_covariates` | (total + series * horizon, column), where there are any |
        | `covariate_tail` | a number, the horizon, where there are `future_covariates` |
        | `past_only` | (total, column), where there are any |

    Raises:
        ModelError: where the panel lacks a covariate that the vocabulary has.
    """
    if first is None:
        first = panel.cutoff_index + 1 - int(panel.lengths.max(initial=1))
    last = panel.cutoff_index + panel.horizon

    def derived(part: Panel, _: int = 0) -> Arrays:
        return _derived(part, level_window, scale_window, window, origins)

    # Everywhere takes many times the memory of the values, so it is done a few series at a time.
    parts = in_blocks(panel, derived, AT_ONCE) if origins is None else [derived(panel)]
    arrays: Arrays = {
        "values": panel.values,
        **{name: np.concatenate([part[name] for part in parts]) for name in parts[0]},
        "start": panel.offsets[:-1].astype(np.int32),
        "end": panel.offsets[1:].astype(np.int32),
        "calendar": _calendar(panel.grid, first, last),
        "calendar_shift": (panel.cutoff_index + 1 - panel.offsets[1:] - first).astype(np.int32),
        "weight": np.concatenate(in_blocks(panel, _weight, AT_ONCE))
        if origins is None
        else np.ones(len(panel), np.float32),
        "row": np.array([vocabulary.series.get(str(name), 0) for name in panel.series_ids], np.int32),
        "static": _category_rows(panel, vocabulary),
    }
    if vocabulary.holidays:
        arrays["holidays"] = _holidays(panel.grid, first, last, vocabulary.holidays)
    return arrays | _covariates(panel, vocabulary)


def without_inputs(arrays: Arrays, panel: Panel, unseen: Collection[Unseen]) -> Arrays:
    """The same arrays, in which the network learns nothing from some inputs of the time grid.

    Args:
        arrays: From `flatten`; they stay as they are.
        panel: The series that they were made of.
        unseen: `calendar` has its mean over the year before the cutoff at every step. `holidays` are none at the steps
            ahead; those of the past stay, since they explain the values of then.
    """
    changed = dict(arrays)
    if "calendar" in unseen:
        last = panel.cutoff_index
        first = panel.grid.position(panel.grid.instant(last) - timedelta(days=365)) + 1
        mean = _calendar(panel.grid, min(first, last), last).mean(axis=0)
        changed["calendar"] = np.tile(mean, (len(arrays["calendar"]), 1))
    if "holidays" in unseen and "holidays" in arrays:
        changed["holidays"] = arrays["holidays"].copy()
        changed["holidays"][len(changed["holidays"]) - panel.horizon :] = 0.0
    return changed


def _derived(
    panel: Panel, level_window: int, scale_window: int, window: WindowShape, origins: IntArray | None
) -> Arrays:
    """What is known of the series at each position, from the past alone."""
    at = None
    if origins is not None:
        series = np.searchsorted(panel.offsets, origins, side="right") - 1
        at = window.scaled_at(panel.offsets[:-1][series], origins)
    scaling: Arrays = {
        name: _spread(values, at, len(panel.values))
        for name, values in scale_panel(panel, level_window, scale_window, window.seasons, at)._asdict().items()
    }
    candidates = Candidates(panel, scaling, window)
    errors = candidates.errors(origins).astype(np.float16)
    return scaling | {
        "smoothed": candidates.smoothed.astype(np.float32),
        "drift": candidates.drift.astype(np.float32),
        "profile": candidates.profile.astype(np.float32),
        "candidate_error": _spread(errors, origins, len(panel.values)),
    }


def _spread(values: AnyArray, at: IntArray | None, total: int) -> AnyArray:
    """Values at some flat positions in their places; NaN in all others, so that reading one of those shows."""
    if at is None:
        return values
    array = np.full((total, *values.shape[1:]), np.nan, values.dtype)
    array[at] = values
    return array


# Blocks of series and members of an ensemble ask for the same stretch.
@lru_cache(maxsize=8)
def _calendar(grid: TimeGrid, first: int, last: int) -> Float32Array:
    return calendar_features(grid, first, last)[0]


@lru_cache(maxsize=8)
def _holidays(grid: TimeGrid, first: int, last: int, places: tuple[str, ...]) -> Float32Array:
    return holiday_features(grid, first, last, places)[0]


def _weight(panel: Panel, _: int = 0) -> Float32Array:
    """One over the seasonal naive's error, so that the loss of each series counts alike; shape (series,)."""
    error = seasonal_error(panel.values, panel.offsets, panel.season_lengths[0])
    return (1.0 / np.where(np.isfinite(error) & (error > 0), error, step_spread(panel))).astype(np.float32)


def _category_rows(panel: Panel, vocabulary: Vocabulary) -> Int32Array:
    """Rows of the static categories, shape (series, column), in the vocabulary's order of columns."""
    _require(vocabulary.categories, panel.static)
    columns = [
        [rows.get(str(value), 0) for value in panel.static[name]] for name, rows in vocabulary.categories.items()
    ]
    return np.array(columns, np.int32).reshape(len(columns), len(panel)).T.copy()


def _covariates(panel: Panel, vocabulary: Vocabulary) -> Arrays:
    """The covariates that the network has learnt from, in standard deviations from their mean."""
    arrays: Arrays = {}
    if vocabulary.static_numbers:
        numbers = _chosen(panel.static_numbers, panel.static_number_names, vocabulary.static_numbers)
        known = (~np.isnan(numbers)).astype(np.float32)
        arrays["static_numbers"] = np.concatenate([_scaled(numbers, vocabulary.static_numbers), known], axis=1)
    if vocabulary.known_future:
        future = _chosen(panel.known_future, panel.known_future_names, vocabulary.known_future)
        arrays["future_covariates"] = _scaled(future, vocabulary.known_future)
        arrays["covariate_tail"] = np.int32(panel.horizon)  # type: ignore[assignment]
    if vocabulary.observed_past:
        past = _chosen(panel.observed_past, panel.observed_past_names, vocabulary.observed_past)
        arrays["past_only"] = _scaled(past, vocabulary.observed_past)
    return arrays


def _chosen(values: Float32Array | None, names: tuple[str, ...], learnt: dict[str, Moments]) -> Float32Array:
    """The columns that the network has learnt from, in its own order: the job may name them in another."""
    _require(learnt, names)
    assert values is not None
    return values if names == tuple(learnt) else values[:, [names.index(name) for name in learnt]]


def _require(learnt: Collection[str], names: Collection[str]) -> None:
    missing = [name for name in learnt if name not in names]
    if missing:
        raise ModelError(
            f"The version was trained with the covariates {list(learnt)}, and the panel has no {missing}; "
            "name them in the job again, or train from scratch."
        )


def _scaled(values: Float32Array, learnt: dict[str, Moments]) -> Float32Array:
    """Columns in standard deviations from their mean, cut at the limit; 0 where not known."""
    moments = np.array(list(learnt.values()))
    scaled = (values.astype(np.float64) - moments[:, 0]) / moments[:, 1]
    within = np.clip(scaled, -COVARIATE_LIMIT, COVARIATE_LIMIT)
    return np.where(np.isnan(within), 0.0, within).astype(np.float32)
