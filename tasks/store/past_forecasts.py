"""What earlier nights forecast for each series, as files that the evaluation leaves for the page of the night."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from models.arrays import BoolArray, Float32Array, StringArray
from models.evaluation.past_night import PastNight
from models.evaluation.series_errors import SeriesErrors

_ERRORS = "errors.npz"
_NIGHTS = 6
_FEWER_NIGHTS, _MANY_SERIES = 3, 50_000


@dataclass(frozen=True)
class PastForecast:
    """What one earlier night forecast.

    Attributes:
        cutoff_index: Grid position of its cutoff.
        values: Shape (series, horizon, 3), float32: the median, and both ends of the widest interval; NaN where nothing
            was forecast.
    """

    cutoff_index: int
    values: Float32Array


@dataclass(frozen=True)
class PastForecasts:
    """What earlier nights forecast, and the errors of each series.

    Attributes:
        series_ids: Shape (series,), sorted.
        errors: Over all nights that were evaluated.
        segments: Name to a mask of shape (series,), as tonight has them.
        nights: Some of the nights, oldest first.
    """

    series_ids: StringArray
    errors: SeriesErrors
    segments: Mapping[str, BoolArray]
    nights: Sequence[PastForecast]


def spread_nights(cutoff_indices: Sequence[int], series: int) -> set[int]:
    """Which nights to keep of those that are evaluated: the oldest, the newest and some between them.

    >>> sorted(spread_nights(range(10, 39), 60)), sorted(spread_nights([7], 60))
    ([10, 16, 21, 27, 32, 38], [7])
    """
    if not cutoff_indices:
        return set()
    kept = _FEWER_NIGHTS if series > _MANY_SERIES else _NIGHTS
    places = np.linspace(0, len(cutoff_indices) - 1, min(kept, len(cutoff_indices))).round().astype(int)
    return {cutoff_indices[place] for place in places.tolist()}


def keep_past_forecast(folder: Path, night: PastNight) -> None:
    """Write one night into a folder, which is made where it is missing."""
    folder.mkdir(exist_ok=True)
    np.save(folder / f"{night.cutoff_index}.npy", interval_of(night))


def interval_of(night: PastNight) -> Float32Array:
    """The values of a `PastForecast`."""
    interval = night.interval or (np.full_like(night.median, np.nan),) * 2
    return np.stack([night.median, *interval], axis=-1).astype(np.float32)


def keep_series_errors(
    folder: Path, series_ids: StringArray, errors: SeriesErrors, segments: Mapping[str, BoolArray]
) -> None:
    """Write the errors of each series, and which segments it is in, beside the nights."""
    folder.mkdir(exist_ok=True)
    columns = {each.name: getattr(errors, each.name) for each in fields(errors)}
    names, masks = np.array(list(segments), dtype=str), np.array(list(segments.values()), dtype=bool)
    np.savez(folder / _ERRORS, series_ids=series_ids, segments=names, masks=masks, **columns)


def read_past_forecasts(folder: Path) -> PastForecasts | None:
    """What was kept in a folder; None where nothing was. Values stay in their files until they are used."""
    if not (folder / _ERRORS).exists():
        return None
    with np.load(folder / _ERRORS, allow_pickle=False) as stored:
        errors = SeriesErrors(**{each.name: stored[each.name] for each in fields(SeriesErrors)})
        series_ids = stored["series_ids"]
        segments = dict(zip(stored["segments"].tolist(), stored["masks"], strict=True))
    files = sorted((int(file.stem), file) for file in folder.glob("*.npy"))
    nights = [PastForecast(index, np.load(file, mmap_mode="r")) for index, file in files]
    return PastForecasts(series_ids, errors, segments, nights)
