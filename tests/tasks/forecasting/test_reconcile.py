"""Tonight's forecasts reconciled with those of their aggregates."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest

from models.baselines.seasonal_naive import seasonal_naive
from models.hierarchy.aggregation_levels import AggregationLevels
from models.hierarchy.training_panel import training_panel
from models.panel.forecast import Forecast
from models.panel.panel import Panel
from models.settings.forecast import ForecastSettings
from tasks.forecasting.reconcile import Reconciliation
from tasks.forecasting.shard import CommonColumns, forecast_of_rows, row_parts

MINT = AggregationLevels.of(["store", "item"], [["store"], []], "mint")
SETTINGS = ForecastSettings(frequency="D", horizon=7, lower_bound=0, upper_bound=20)
COLUMNS = CommonColumns("job", datetime(2024, 3, 1, tzinfo=UTC), "v1", "r1", datetime(2024, 3, 2, tzinfo=UTC))


def predict(panel: Panel, forecast: ForecastSettings) -> Forecast:
    """Forecasts aggregates as the means of their weekdays, which know far more than the last week of a series."""
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


RECONCILIATION = Reconciliation(MINT, predict, SETTINGS, (0, 20))


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
    alone = predict(panel, SETTINGS)
    made, sentence = RECONCILIATION.of_forecast(alone, panel)
    assert sentence == "reconciled by MinT with 3 aggregates, from errors at 8 past cutoffs"
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
    assert RECONCILIATION.of_forecast(alone, young) == (
        alone,
        "aggregates are bottom-up: 10 steps of history are too few to measure past errors",
    )

    def fails(*_: object) -> None:
        raise ValueError("ill-conditioned")

    monkeypatch.setattr("tasks.forecasting.reconcile.reconciled_means", fails)
    alone = predict(panel, SETTINGS)
    made, sentence = RECONCILIATION.of_forecast(alone, panel)
    assert made is alone
    assert sentence == "aggregates are bottom-up: MinT failed: ill-conditioned"


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
    parts = [*row_parts(forecast_of(panel, np.ones((6, 7))), panel, COLUMNS)]
    rows, sentence = RECONCILIATION.of_rows(parts, panel, COLUMNS)
    assert [*rows] == parts
    assert sentence == "aggregates are bottom-up: 9 series and aggregates are more than the 8 that MinT can reconcile"
    monkeypatch.undo()
    rows, sentence = RECONCILIATION.of_rows(parts, panel, COLUMNS)
    assert "reconciled by MinT" in sentence
    wanted, _ = RECONCILIATION.of_forecast(forecast_of(panel, np.ones((6, 7))), panel)
    assert forecast_of_rows(pa.concat_tables(rows)).mean == pytest.approx(wanted.mean)


def test_rows_give_back_the_forecast_that_they_were_laid_out_from(panel):
    whole = forecast_of(panel, np.arange(42.0).reshape(6, 7))
    mixed = replace(
        whole,
        baseline=np.where(np.arange(6)[:, None] == 2, np.nan, whole.baseline),
        source=np.array(["model", "fallback", *["model"] * 4]),
        reason=np.array(["", "too short", *[""] * 4]),
    )
    found = forecast_of_rows(pa.concat_tables(row_parts(mixed, panel, COLUMNS)))
    for name in ("series_ids", "quantile_levels", "quantiles", "mean", "baseline", "source", "reason"):
        np.testing.assert_array_equal(getattr(found, name), getattr(mixed, name))
