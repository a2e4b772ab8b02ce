"""Write the page of one series: of any, also where the page of its night cannot hold all."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from models.panel.panel import Panel
from tasks.night.ledger import Ledger
from tasks.report import plots
from tasks.report.series.anomalies import read_anomalies
from tasks.report.series.contents import SeriesOfNight, begin_of, newest_values, pack_series
from tasks.report.series.forecast_file import ForecastArrays, forecast_arrays
from tasks.report.series.scripts import explorer_of
from tasks.report.template import html_of
from tasks.store.past_forecasts import PastForecasts
from tasks.store.places import Places, stamp, write_whole

_LONGEST_NAME = 60


def write_series_page(
    places: Places,
    ledger: Ledger,
    publication: Mapping[str, Any],
    panel: Panel,
    tonight: pa.Table,
    past: PastForecasts,
) -> Path:
    """Write the page of one series of a published night, into the folder `series` beside the night's page.

    Args:
        places: Where the job's reports are.
        ledger: The job's.
        publication: The row of the night.
        panel: The series' history as that night saw it.
        tonight: Its rows of `forecast`, by step.
        past: What the nights before forecast for it.

    Returns:
        The page's path.

    Raises:
        OSError: the folder of the reports cannot be written.
    """
    cutoff = publication["cutoff"]
    forecast = forecast_arrays(tonight)
    alerts = [row for row in ledger.alerts() if row["opened_at"] <= cutoff]
    of_all = publication["rows"] // tonight.num_rows
    anomalies = read_anomalies(ledger, begin_of(panel), cutoff)
    night = SeriesOfNight(places.job, [panel], forecast, of_all, past, alerts, None, anomalies)
    series_id = str(forecast.series_ids[0])
    path = places.report / "series" / page_name(series_id, cutoff)
    night_page = places.report_file(cutoff)
    facts = {
        "job": places.job,
        "series_id": series_id,
        "cutoff": panel.grid.to_local([panel.cutoff_index])[0].to_pydatetime(),
        "zone": panel.time_zone,
        "night_page": night_page.name if night_page.exists() else "",
        "explorer": explorer_of(pack_series(night)),
        "plot": _plot(panel, forecast),
    }
    write_whole(path, html_of("series_page.html", facts))
    return path


def page_name(series_id: str, cutoff: datetime) -> str:
    """The name of the page of a series: readable, and different for every id.

    >>> page_name("Madrid/coffee", datetime.fromisoformat("2024-03-01T00:00Z"))
    '2024-03-01T000000Z-Madrid-coffee-a529a288.html'
    """
    words = "-".join(re.findall(r"\w+", series_id, re.ASCII))[:_LONGEST_NAME]
    digest = sha256(series_id.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return "-".join(filter(None, (stamp(cutoff), words, digest))) + ".html"


def _plot(panel: Panel, forecast: ForecastArrays) -> str:
    """The picture for browsers without scripts."""
    horizon = forecast.median.shape[1]
    shown = min(int(panel.lengths[0]), max(3 * horizon, 30))
    times = panel.grid.to_local(panel.cutoff_index + 1 + np.arange(-shown, horizon)).to_pydatetime().tolist()
    history = newest_values(panel, np.array([0]), shown)[0]
    return plots.fan_chart(
        times[:shown],
        [None if np.isnan(value) else float(value) for value in history],
        times[shown:],
        forecast.median[0].tolist(),
        forecast.baseline[0].tolist(),
        {
            float(level): forecast.quantiles[0, :, place].tolist()
            for place, level in enumerate(forecast.quantile_levels)
        },
    )
