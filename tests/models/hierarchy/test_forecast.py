"""Forecasts of aggregates from those of their series."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.hierarchy.aggregation_levels import AggregationLevels
from models.hierarchy.forecast import AggregateForecast
from models.hierarchy.hierarchy import Hierarchy
from models.panel.forecast import Forecast

LEVELS = AggregationLevels.of(["store", "item"], [["store"], []])
QUANTILE_LEVELS = np.array([0.1, 0.5, 0.9])


@pytest.fixture
def panel(make_panel):
    random = np.random.default_rng(0)
    return make_panel(
        {f"{store}/{item}": random.normal(9, 1, 90) for store in "abc" for item in "xyz"[: ord(store) - 96]}
    )


def forecast_of(panel, fallback: tuple[int, ...] = ()) -> Forecast:
    random = np.random.default_rng(1)
    quantiles = np.sort(random.gamma(2.0, 1e5, size=(len(panel), panel.horizon, 3)), axis=-1)
    by_fallback = np.isin(np.arange(len(panel)), fallback)
    return Forecast(
        series_ids=panel.series_ids,
        quantile_levels=QUANTILE_LEVELS,
        quantiles=quantiles,
        mean=quantiles.mean(axis=-1) * 1.1,
        baseline=random.gamma(2.0, size=(len(panel), panel.horizon)),
        source=np.where(by_fallback, "fallback", "model"),
        reason=np.where(by_fallback, "too short", ""),
    )


def aggregates_of(panel, *parts: Forecast, **bounds) -> Forecast:
    sums = AggregateForecast(panel, Hierarchy.of(panel.series_ids, LEVELS), **bounds)
    for part in parts:
        sums.accumulate(part)
    return sums.finish()


def test_means_and_naives_of_aggregates_are_sums_of_those_below(panel):
    below = forecast_of(panel)
    aggregate = aggregates_of(panel, below)
    assert aggregate.series_ids.tolist() == ["*/*", "a/*", "b/*", "c/*"]
    for name, parts in (("*/*", slice(None)), ("a/*", slice(0, 1)), ("b/*", slice(1, 3)), ("c/*", slice(3, 6))):
        [at] = np.flatnonzero(aggregate.series_ids == name)
        assert aggregate.mean[at] == pytest.approx(below.mean[parts].sum(axis=0), rel=1e-14)
        assert aggregate.baseline[at] == pytest.approx(below.baseline[parts].sum(axis=0), rel=1e-14)
    assert aggregate.quantiles.shape == (4, panel.horizon, 3)
    assert (np.diff(aggregate.quantiles, axis=-1) >= 0).all()


def test_parts_may_come_in_any_order_and_size(panel):
    below = forecast_of(panel)
    whole = aggregates_of(panel, below)
    apart = aggregates_of(panel, below.of(slice(4, 6)), below.of(slice(0, 1)), below.of(slice(1, 4)))
    assert (apart.quantiles == whole.quantiles).all()
    assert apart.mean == pytest.approx(whole.mean, rel=1e-14)
    assert apart.reason.tolist() == whole.reason.tolist()


def test_an_aggregate_states_how_many_of_its_parts_came_by_fallback(panel):
    aggregate = aggregates_of(panel, forecast_of(panel, fallback=(0, 4)))
    assert aggregate.source.tolist() == ["model", "fallback", "model", "model"]
    assert aggregate.reason.tolist() == [
        "2 of 6 parts by fallback",
        "1 of 1 parts by fallback",
        "",
        "1 of 3 parts by fallback",
    ]


def test_a_part_without_a_naive_adds_nothing_to_that_of_the_sum(panel):
    below = forecast_of(panel)
    naive = below.baseline.copy()
    naive[[0, 1]] = np.nan
    aggregate = aggregates_of(panel, replace(below, baseline=naive))
    assert np.isnan(aggregate.baseline[1]).all()
    assert aggregate.baseline[2] == pytest.approx(naive[2], rel=1e-14)


def test_bounds_of_the_series_hold_for_their_sum_as_many_times(panel):
    below = forecast_of(panel)
    flat = replace(below, quantiles=np.full_like(below.quantiles, 0.1))
    aggregate = aggregates_of(panel, flat, lower_bound=0.1, upper_bound=0.3)
    parts = np.array([6, 1, 2, 3])[:, None, None]
    assert (aggregate.quantiles >= parts * 0.1).all()
    assert aggregate.quantiles == pytest.approx(np.broadcast_to(parts * 0.1, aggregate.quantiles.shape))


def test_a_sum_that_lacks_a_series_or_has_one_twice_is_an_error(panel):
    below = forecast_of(panel)
    with pytest.raises(ValueError, match=r"1 series have no forecast.*c/z"):
        aggregates_of(panel, below.of(slice(0, 5)))
    with pytest.raises(ValueError, match=r"added before: \['a/x'\]"):
        aggregates_of(panel, below, below.of(slice(0, 1)))
    with pytest.raises(ValueError, match="1 forecasts are of series that are not in the panel"):
        aggregates_of(panel, replace(below.of(slice(0, 1)), series_ids=np.array(["zz/zz"])))
    with pytest.raises(ValueError, match="6 series have no forecast"):
        aggregates_of(panel)
