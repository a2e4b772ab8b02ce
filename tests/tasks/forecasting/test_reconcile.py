"""Tonight's forecasts reconciled with those of their sums."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest

from models.baselines.fallback import Fallback
from models.baselines.seasonal_naive import seasonal_naive
from models.hierarchy.aggregation_levels import AggregationLevels
from models.hierarchy.training_panel import training_panel
from models.panel.forecast import Forecast
from models.panel.panel import Panel
from models.settings.forecast import ForecastSettings
from tasks.forecasting.reconcile import moved, reconciled
from tasks.forecasting.shard import Tonight, forecast_of_rows, row_parts

MINT = AggregationLevels.of(["store", "item"], [["store"], []], "mint")
SETTINGS = ForecastSettings(frequency="D", horizon=7, lower_bound=0, upper_bound=20)


def ask(panel: Panel, forecast: ForecastSettings) -> Forecast:
    """Forecasts sums as the means of their weekdays, which know far more than the last week that it takes of parts."""
    mean = np.nanmean(panel.tail(70).reshape(len(panel), 10, 7), axis=1)
    return forecast_of(panel, mean if "*/*" in panel.series_ids else seasonal_naive(panel, 7, 7))


def forecast_of(panel: Panel, mean: np.ndarray) -> Forecast:
    spread = np.array([-2.0, 0.0, 2.0])
    return Forecast(
        series_ids=panel.series_ids,
        quantile_levels=np.array([0.1, 0.5, 0.9]),
        quantiles=np.clip(mean[:, :, None] + spread, 0, None),
        mean=mean,
        baseline=mean,
        source=np.full(len(panel), "model"),
        reason=np.full(len(panel), ""),
    )


@pytest.fixture
def panel() -> Panel:
    """Six series of 200 days: a week of their own, and noise."""
    random = np.random.default_rng(0)
    season = 8 + 4 * np.sin(2 * np.pi * np.arange(200) / 7)
    ids = [f"{store}/{item}" for store in "ab" for item in "xyz"]
    return Panel(
        values=np.concatenate([season + random.normal(0, 2, 200) for _ in ids]).astype(np.float32),
        offsets=np.arange(7) * 200,
        series_ids=np.array(ids),
        frequency="D",
        cutoff_index=1_000,
        season_lengths=(7,),
        horizon=7,
    )


def test_forecasts_move_towards_what_is_better_known_of_their_sums(panel):
    alone = ask(panel, SETTINGS)
    made, word = moved(alone, panel, MINT, ask, SETTINGS, (0, 20))
    assert word == "reconciled by MinT with 3 aggregates, from errors at 8 past cutoffs"
    total = np.nanmean(panel.tail(70).reshape(6, 10, 7), axis=1).sum(axis=0)
    before, after = (np.abs(each.mean.sum(axis=0) - total).mean() for each in (alone, made))
    assert after < 0.5 * before
    by = made.mean - alone.mean
    inside = alone.quantiles + by[:, :, None] > 0
    assert made.quantiles[inside] == pytest.approx((alone.quantiles + by[:, :, None])[inside])
    assert (made.quantiles >= 0).all()
    assert (made.mean >= 0).all()


def test_with_too_little_past_or_errors_of_no_use_forecasts_stay_and_the_night_says_so(panel, monkeypatch):
    young = replace(panel, values=np.arange(60, dtype=np.float32), offsets=np.arange(7) * 10)
    alone = forecast_of(young, np.ones((6, 7)))
    assert moved(alone, young, MINT, ask, SETTINGS, (0, 20)) == (
        alone,
        "sums are added up from below: 10 steps are too few to know past errors by",
    )

    def fails(*_: object) -> None:
        raise ValueError("ill-conditioned")

    monkeypatch.setattr("tasks.forecasting.reconcile.reconciled_means", fails)
    alone = ask(panel, SETTINGS)
    made, word = moved(alone, panel, MINT, ask, SETTINGS, (0, 20))
    assert made is alone
    assert word == "sums are added up from below: MinT failed: ill-conditioned"


def test_sums_are_trained_on_where_they_are_forecast(panel):
    assert training_panel(panel, MINT).series_ids.tolist() == [
        "*/*",
        "a/*",
        "a/x",
        "a/y",
        "a/z",
        "b/*",
        "b/x",
        "b/y",
        "b/z",
    ]
    assert training_panel(panel, replace(MINT, method="bottom_up")) is panel
    assert training_panel(panel, AggregationLevels()) is panel


def test_rows_of_more_series_than_can_be_reconciled_stay_as_they_are(panel, monkeypatch):
    monkeypatch.setattr("tasks.forecasting.reconcile.LARGEST", 8)
    instead = Fallback.learn(panel, 7, [0.1, 0.5, 0.9], 0, 20)
    tonight = Tonight("job", datetime(2024, 3, 1, tzinfo=UTC), "v1", "r1", datetime(2024, 3, 2, tzinfo=UTC))
    parts = [*row_parts(forecast_of(panel, np.ones((6, 7))), panel, tonight)]
    rows, word = reconciled(parts, panel, MINT, ask, SETTINGS, instead, tonight)
    assert [*rows] == parts
    assert word == "sums are added up from below: 9 series and sums are more than the 8 that can be reconciled"
    monkeypatch.undo()
    rows, word = reconciled(parts, panel, MINT, ask, SETTINGS, instead, tonight)
    assert "reconciled by MinT" in word
    wanted, _ = moved(forecast_of(panel, np.ones((6, 7))), panel, MINT, ask, SETTINGS, (0, 20))
    assert forecast_of_rows(pa.concat_tables(rows)).mean == pytest.approx(wanted.mean)


def test_rows_give_back_the_forecast_that_they_were_laid_out_from(panel):
    whole = forecast_of(panel, np.arange(42.0).reshape(6, 7))
    mixed = replace(
        whole,
        baseline=np.where(np.arange(6)[:, None] == 2, np.nan, whole.baseline),
        source=np.array(["model", "fallback", *["model"] * 4]),
        reason=np.array(["", "too short", *[""] * 4]),
    )
    tonight = Tonight("job", datetime(2024, 3, 1, tzinfo=UTC), "v1", "r1", datetime(2024, 3, 2, tzinfo=UTC))
    found = forecast_of_rows(pa.concat_tables(row_parts(mixed, panel, tonight)))
    for name in ("series_ids", "quantile_levels", "quantiles", "mean", "baseline", "source", "reason"):
        np.testing.assert_array_equal(getattr(found, name), getattr(mixed, name))
