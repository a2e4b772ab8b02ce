"""What the page of a night holds of its series: history, forecasts, errors, events, anomalies and alerts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from models.arrays import BoolArray, FloatArray, IntArray, StringArray
from models.panel.panel import Panel, places_of
from tasks.explanation.night_parts import NightParts
from tasks.printing.safe import without_secrets
from tasks.report.series.anomalies import marked_anomalies
from tasks.report.series.block import pack
from tasks.report.series.events import holidays_between, yes_or_no
from tasks.report.series.forecast_file import ForecastArrays
from tasks.report.series.quantised import quantise
from tasks.store.past_forecasts import PastForecasts

HISTORY_STEPS = 730
"""Steps of history on a page: two years of days."""

MOST_NUMBERS = 2_950_000
"""Numbers of two bytes on a page, which even where nothing can be compressed keep it below 8 MB."""

_BANDS, _STATIC_COLUMNS, _ALERTS = 3, 6, 40


@dataclass(frozen=True)
class SeriesOfNight:
    """What is known of the series of a night.

    Attributes:
        job: The job's name.
        panels: Tonight's history: that of the series, and that of their aggregates where there are some.
        forecast: Tonight's, of the series to show.
        of_all: Number of series of the night, shown or not.
        past: What earlier nights forecast; None where no night was evaluated.
        alerts: Rows of `alert`, newest first.
        rows_since: Older rows were not read; None where all were.
        anomalies: Rows of `anomaly`; None for none.
        parts: What moved the forecasts of the leading series; None where it is not known.
    """

    job: str
    panels: Sequence[Panel]
    forecast: ForecastArrays
    of_all: int
    past: PastForecasts | None
    alerts: Sequence[Mapping[str, Any]]
    rows_since: datetime | None
    anomalies: pa.Table | None = None
    parts: NightParts | None = None


def pack_series(night: SeriesOfNight) -> str:
    """The block of a page, see `tasks.report.series.block`; `explorer.js` draws what it holds."""
    panel, forecast = night.panels[0], night.forecast
    rows = [places_of(forecast.series_ids, each.series_ids) for each in night.panels]
    steps = history_steps(panel)
    history = np.full((len(forecast.series_ids), steps), np.nan, np.float32)
    for each, place in zip(night.panels, rows, strict=True):
        history[place >= 0] = newest_values(each, place[place >= 0], steps)
    # A page begins with the first value that it shows.
    begin = int(np.argmax(np.isfinite(history).any(axis=0))) if np.isfinite(history).any() else steps
    history, first_index = history[:, begin:], panel.cutoff_index - steps + begin + 1
    last_index = panel.cutoff_index + forecast.median.shape[1]
    flags, flag_bits = yes_or_no(panel, rows[0], steps - begin)
    bands = central_intervals(forecast.quantile_levels)
    ends = forecast.quantiles[..., [level for band in bands for level in band]]
    ahead = np.concatenate([np.stack([forecast.median, forecast.baseline], axis=-1), ends], axis=-1)
    past_header, past_arrays = _past(night.past, forecast.series_ids, first_index)
    alerts, in_alert = _alerts(night, first_index)
    header = {
        "job": night.job,
        "ids": forecast.series_ids.tolist(),
        "of_all": night.of_all,
        "frequency": panel.frequency,
        "season": panel.season_lengths[0],
        "with_hours": panel.grid.step_seconds < 80_000,
        "history": history.shape[1],
        "horizon": forecast.median.shape[1],
        "bands": [[float(forecast.quantile_levels[level]) for level in band] for band in bands],
        "reasons": forecast.reasons,
        "static": _static(panel, rows[0]),
        "flags": flags,
        "holidays": holidays_between(panel, first_index, last_index),
        "alerts": alerts,
        "anomalies": marked_anomalies(night.anomalies, forecast.series_ids, panel, first_index),
        "rows_since": night.rows_since,
        "parts": [] if night.parts is None else night.parts.names,
        **past_header,
    }
    return pack(
        without_secrets(header),
        {
            "clock": _clock(panel, first_index, last_index),
            **_quantised("history", history),
            **_quantised("ahead", ahead),
            "size": forecast.size.astype(np.float32),
            "relative_width": forecast.relative_width.astype(np.float32),
            "by_model": forecast.by_model.astype(np.uint8),
            "flags": flag_bits,
            "in_alert": in_alert,
            **_parts(night.parts, forecast.series_ids),
            **past_arrays,
        },
    )


def begin_of(panel: Panel) -> datetime:
    """The instant of the first step of history that a page may show."""
    return panel.grid.instant(panel.cutoff_index - history_steps(panel) + 1)


def history_steps(panel: Panel) -> int:
    """How many steps of history a page shows at most; as long as the longest series where that is less."""
    return int(min(max(HISTORY_STEPS, 2 * panel.horizon), panel.lengths.max(initial=1)))


def most_series(panel: Panel, levels: FloatArray, nights: int) -> int:
    """How many series fit on a page.

    Args:
        panel: Tonight's history.
        levels: Shape (level,), of tonight's forecast.
        nights: How many earlier nights are shown.
    """
    ahead = panel.horizon * (2 + 2 * len(central_intervals(levels)) + 3 * nights)
    return max(1, MOST_NUMBERS // (history_steps(panel) + ahead))


def central_intervals(levels: FloatArray) -> list[tuple[int, int]]:
    """The intervals that a page draws, widest first, each as the places of its two levels.

    >>> central_intervals(np.array([0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95]))
    [(0, 6), (1, 5), (2, 4)]
    """
    pairs = [
        (low, high)
        for low, p in enumerate(levels)
        for high, q in enumerate(levels)
        if p < 0.5 and np.isclose(p + q, 1.0)
    ]
    kept = np.linspace(0, len(pairs) - 1, min(_BANDS, len(pairs))).round().astype(int)
    return [pairs[place] for place in kept]


def newest_values(panel: Panel, rows: IntArray, steps: int) -> npt.NDArray[np.float32]:
    """The last values of some series, shape (those, steps); NaN before a series began."""
    position = panel.offsets[1:][rows][:, None] - steps + np.arange(steps)
    inside = position >= panel.offsets[:-1][rows][:, None]
    # Series without any value have no place to read from.
    found = panel.values[np.where(inside, position, 0)] if inside.any() else np.float32(np.nan)
    return np.where(inside, found, np.float32(np.nan))


def _quantised(name: str, values: npt.NDArray[Any]) -> dict[str, npt.NDArray[Any]]:
    found = quantise(values)
    return {name: found.counts, f"{name}_base": found.base, f"{name}_unit": found.unit}


def _clock(panel: Panel, first_index: int, last_index: int) -> FloatArray:
    """The local times of the page's steps, in seconds since 1970 on the clock of the job's zone."""
    local = panel.grid.to_local(np.arange(first_index, last_index + 1))
    return local.to_numpy().astype("datetime64[us]").astype(np.int64) / 1e6


def _static(panel: Panel, rows: IntArray) -> list[dict[str, Any]]:
    """The categories of the series, by column; null for a series without one, such as an aggregate."""
    columns = []
    for name, values in list(panel.static.items())[:_STATIC_COLUMNS]:
        known, place = np.unique(values[np.maximum(rows, 0)], return_inverse=True)
        of = np.where(rows >= 0, place, -1).tolist()
        columns.append({"name": name, "values": known.tolist(), "of": of})
    return columns


def _past(
    past: PastForecasts | None, ids: StringArray, first_index: int
) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
    """Errors and earlier forecasts; nothing of a series that is new."""
    if past is None:
        return {"nights": [], "points": False}, {}
    place = places_of(ids, past.series_ids)
    known = place >= 0

    def of(values: FloatArray) -> npt.NDArray[np.float32]:
        return np.where(known, values[place], np.nan).astype(np.float32)

    errors = past.errors
    arrays: dict[str, npt.NDArray[Any]] = {
        "points": np.where(known, errors.points[place], 0).astype(np.float32),
        "mae": of(errors.mae),
        "baseline_mae": of(errors.baseline_mae),
        "mase": of(errors.mase),
        "coverage": of(errors.coverage),
        "newest_miss": of(errors.newest_miss),
    }
    nights = list[dict[str, int]]()
    for night in past.nights:
        # One that began before the page does has no place on it.
        if night.cutoff_index < first_index:
            continue
        number = len(nights)
        values = np.where(known[:, None, None], night.values[np.maximum(place, 0)], np.nan)
        arrays |= _quantised(f"night{number}", values)
        nights.append({"cutoff": night.cutoff_index - first_index, "horizon": values.shape[1]})
    return {"nights": nights, "points": bool(errors.points.any())}, arrays


def _parts(parts: NightParts | None, ids: StringArray) -> dict[str, npt.NDArray[Any]]:
    """What moved the forecasts: figures of shape (explained, figure, horizon), and the row of each series in them.

    A series whose forecast is not explained has row -1.
    """
    if parts is None:
        return {}
    return {"part_row": places_of(ids, parts.series_ids).astype(np.float32), "parts": parts.values}


def _alerts(night: SeriesOfNight, first_index: int) -> tuple[list[dict[str, Any]], npt.NDArray[np.uint8]]:
    """The alerts of segments, and whether each series is in them: shape (alert, series), uint8."""
    ids, grid = night.forecast.series_ids, night.panels[0].grid
    if night.past is None:
        return [], np.zeros((0, len(ids)), np.uint8)
    place = places_of(ids, night.past.series_ids)
    shown, masks = list[dict[str, Any]](), list[BoolArray]()
    for alert in night.alerts:
        mask = night.past.segments.get(alert["segment"])
        if mask is None or len(shown) == _ALERTS:
            continue
        closed = alert["closed_at"]
        shown.append(
            {
                "segment": alert["segment"],
                "signal": alert["signal"],
                "state": alert["state"],
                "message": alert["message"] or "",
                "begin": grid.position(alert["onset"] or alert["opened_at"]) - first_index,
                "end": None if closed is None else grid.position(closed) - first_index,
                "opened": grid.position(alert["opened_at"]) - first_index,
            }
        )
        masks.append((place >= 0) & mask[place])
    return shown, np.array(masks, np.uint8).reshape(len(masks), len(ids))
