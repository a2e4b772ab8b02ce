"""Series of a night as its steps leave them, and the page that shows them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.evaluation.series_errors import SeriesErrors
from models.panel.panel import Panel
from tasks.report.record import NightRecord
from tasks.report.series.contents import SeriesOfNight, pack_series
from tasks.report.series.forecast_file import ForecastArrays
from tasks.report.write import render
from tasks.store.past_forecasts import PastForecast, PastForecasts

DAYS, HORIZON = 60, 7
LEVELS = np.array([0.1, 0.5, 0.9])
CUTOFF = datetime(2024, 3, 1, tzinfo=UTC)


@pytest.fixture
def make_series() -> Callable[..., SeriesOfNight]:
    """Makes the series of a night: the first is the largest, and the last one got the fallback."""

    def make(ids: list[str], **changes: Any) -> SeriesOfNight:
        ids = sorted(ids)
        random = np.random.default_rng(1)
        number = len(ids)
        level = 10.0 * np.arange(number, 0, -1)
        week = np.sin(2 * np.pi * np.arange(DAYS + HORIZON) / 7)
        values = (level[:, None] * (2 + week) + random.normal(0, 1, (number, DAYS + HORIZON))).round(1)
        ahead = level[:, None] * (2 + week[DAYS:])
        promotion = np.zeros((number, DAYS + HORIZON))
        promotion[:, 50:55] = 1
        panel = Panel(
            values=values[:, :DAYS].astype(np.float32).ravel(),
            offsets=DAYS * np.arange(number + 1),
            series_ids=np.array(ids),
            frequency="D",
            cutoff_index=19_783,  # 1 March 2024
            season_lengths=(7,),
            horizon=HORIZON,
            static={"region": np.array(["north", "south"] * number)[:number]},
            known_future=promotion.astype(np.float32).reshape(-1, 1),
            known_future_names=("promotion",),
            holidays=("ES",),
        )
        forecast = ForecastArrays(
            series_ids=panel.series_ids,
            by_model=np.arange(number) < max(1, number - 1),
            reasons=[""] * (number - 1) + ["too short"] if number > 1 else [""],
            quantile_levels=LEVELS,
            quantiles=ahead[:, :, None] + np.array([-5, 0, 5]),
            median=ahead,
            baseline=ahead + 3,
        )
        errors = SeriesErrors.none(number)
        errors.points[:], errors.absolute[:], errors.scaled[:], errors.with_scale[:] = 7, 14, 3.5, 7
        errors.with_baseline[:], errors.absolute_baseline[:], errors.with_interval[:], errors.inside[:] = 7, 28, 7, 6
        errors.newest_miss[:] = np.linspace(-0.5, 0.5, number)
        earlier = np.stack([values[:, DAYS - 7 : DAYS] + shift for shift in (1, -4, 6)], axis=-1).astype(np.float32)
        segments = {"all": np.ones(number, bool), "region=south": panel.static["region"] == "south"}
        past = PastForecasts(panel.series_ids, errors, segments, [PastForecast(19_783 - 7, earlier)])
        alert = {
            "segment": "region=south", "signal": "loss", "state": "open", "message": "The loss is 30 % above its past",
            "onset": datetime(2024, 2, 20, tzinfo=UTC), "opened_at": CUTOFF, "closed_at": None,
        }  # fmt: skip
        known = {"job": "sales", "panels": [panel], "forecast": forecast, "of_all": number, "past": past}
        return SeriesOfNight(**{**known, "alerts": [alert], "rows_since": None, **changes})

    return make


@pytest.fixture
def make_page(make_series, tmp_path) -> Callable[..., Path]:
    """Writes the page of a night with such series; gives its file."""

    def make(ids: list[str], **changes: Any) -> Path:
        file = tmp_path / "night.html"
        text = render(NightRecord("sales", CUTOFF), pack_series(make_series(ids, **changes)))
        file.write_text(text, encoding="utf-8")
        return file

    return make
