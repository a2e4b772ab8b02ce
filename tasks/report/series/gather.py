"""Gather what the page of a night holds of its series, from the files of the night's steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from models.arrays import BoolArray, FloatArray
from models.hierarchy.hierarchy import Hierarchy
from models.hierarchy.history import aggregate_panel
from models.panel.panel import Panel, places_of
from tasks.explanation.night_parts import NightFiles, NightParts, most_explained, parts_of_night
from tasks.night.job import Job
from tasks.night.night import Night
from tasks.report.series.anomalies import newest_anomaly, read_anomalies
from tasks.report.series.choice import choose_series
from tasks.report.series.contents import SeriesOfNight, begin_of, most_series, pack_series
from tasks.report.series.forecast_file import ForecastArrays, read_forecast
from tasks.step import logger
from tasks.store.panel_file import load_panel
from tasks.store.past_forecasts import PastForecasts, read_past_forecasts


@dataclass(frozen=True)
class SeriesFiles:
    """The files in which a night's steps left what they know of its series.

    Attributes:
        panel: The history.
        forecast: Tonight's forecasts.
        past_forecasts: Folder of earlier forecasts, see `read_past_forecasts`; None where no night was evaluated.
        rows_since: Older rows were not read; None where all were.
        forecast_with: What the night forecast with; None for the fallback alone, and where nothing is explained.
    """

    panel: Path
    forecast: Path
    past_forecasts: Path | None
    rows_since: datetime | None
    forecast_with: NightFiles | None = None


def block_of_night(night: Night, files: SeriesFiles, alerts: Sequence[Mapping[str, Any]]) -> str:
    """The block of the page, with all series, or with the largest and those that lead another list.

    Args:
        night: Tonight.
        files: What its steps left.
        alerts: Rows of `alert`, newest first.
    """
    panel, levels = load_panel(files.panel), night.job.aggregation_levels
    past = None if files.past_forecasts is None else read_past_forecasts(files.past_forecasts)
    overview = read_forecast(files.forecast, only_widest=True)
    most = most_series(panel, np.array(night.job.forecast.quantile_levels), len(past.nights) if past else 0)
    anomalies = read_anomalies(night.ledger, begin_of(panel), night.cutoff)
    measures = [*_measures(overview, past), newest_anomaly(anomalies, overview.series_ids)]
    chosen = choose_series(most, measures)
    of_all = len(overview.series_ids)
    ids = None if len(chosen) == of_all else overview.series_ids[chosen]
    panels = [panel, *([aggregate_panel(panel, Hierarchy.of(panel.series_ids, levels))] if levels else [])]
    alerts = [row for row in alerts if row["opened_at"] <= night.cutoff]
    forecast = read_forecast(files.forecast, ids)
    led = {*overview.series_ids[choose_series(most_explained(panel), measures)].tolist()}
    parts = _parts(night.job, panel, files, forecast, np.array([each in led for each in forecast.series_ids.tolist()]))
    return pack_series(
        SeriesOfNight(night.job.name, panels, forecast, of_all, past, alerts, files.rows_since, anomalies, parts)
    )


def _parts(job: Job, panel: Panel, files: SeriesFiles, forecast: ForecastArrays, led: BoolArray) -> NightParts | None:
    """What moved the forecasts of the series that lead a list; None where no model forecast any."""
    explained = led & forecast.by_model & (places_of(forecast.series_ids, panel.series_ids) >= 0)
    if files.forecast_with is None or not explained.any():
        return None
    try:
        ids, medians = forecast.series_ids[explained], forecast.median[explained]
        order = np.argsort(ids)
        return parts_of_night(job, panel, files.forecast_with, ids[order], medians[order])
    except Exception as error:
        # The page is of use without it.
        logger().warning("The page does not say what moved the forecasts: %s: %s", type(error).__name__, error)
        return None


def _measures(overview: ForecastArrays, past: PastForecasts | None) -> list[FloatArray]:
    """What the lists of the page are sorted by."""
    by_fallback = np.where(overview.by_model, np.nan, overview.size)
    measures = [overview.size, overview.relative_width, by_fallback]
    if past is not None:
        place = places_of(overview.series_ids, past.series_ids)
        errors = past.errors
        measures += [np.where(place >= 0, each[place], np.nan) for each in (errors.mase, errors.newest_miss)]
    return measures
