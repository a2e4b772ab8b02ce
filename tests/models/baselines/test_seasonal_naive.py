"""The seasonal naive, on series small enough to work out by hand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from models.baselines.seasonal_naive import grouped_quantiles, seasonal_naive
from models.panel.panel import Panel

GAP = np.nan


def panel_of(*series: Sequence[float], season_length: int = 3) -> Panel:
    return Panel(
        values=np.concatenate([np.asarray(one, np.float32) for one in series]).astype(np.float32),
        offsets=np.cumsum([0, *map(len, series)]).astype(np.int64),
        series_ids=np.array([f"s{i:03}" for i in range(len(series))]),
        frequency="D",
        cutoff_index=1_000,
        season_lengths=(season_length,),
        horizon=4,
    )


def test_the_seasonal_naive_repeats_the_newest_season() -> None:
    found = seasonal_naive(panel_of([9, 9, 9, 1, 2, 3], [7, 4, 5, 6]), 5, 3)

    np.testing.assert_array_equal(found, [[1, 2, 3, 1, 2], [4, 5, 6, 4, 5]])


def test_a_gap_is_filled_by_the_season_before_and_then_by_the_last_value() -> None:
    # Second place: the season before; third place: never observed, so the last value there is.
    found = seasonal_naive(panel_of([1, 8, GAP, 4, GAP, GAP]), 4, 3)

    np.testing.assert_array_equal(found, [[4, 8, 4, 4]])


def test_a_series_shorter_than_a_season_repeats_its_last_value_where_it_must() -> None:
    np.testing.assert_array_equal(seasonal_naive(panel_of([5, 6]), 3, 3), [[6, 5, 6]])


def test_a_series_that_was_never_observed_has_no_seasonal_naive() -> None:
    found = seasonal_naive(panel_of([GAP, GAP], [], [1]), 2, 3)

    np.testing.assert_array_equal(found, [[np.nan] * 2, [np.nan] * 2, [1, 1]])


@given(st.data())
def test_the_seasonal_naive_is_what_looking_back_season_by_season_finds(data: st.DataObject) -> None:
    value = st.one_of(st.just(GAP), st.integers(-9, 9).map(float))
    series = data.draw(st.lists(st.lists(value, max_size=12), min_size=1, max_size=4))
    season, horizon = data.draw(st.integers(1, 5)), data.draw(st.integers(1, 8))

    found = seasonal_naive(panel_of(*series), horizon, season)

    for values, row in zip(series, found, strict=True):
        seen = [each for each in values if not np.isnan(each)]
        for step in range(1, horizon + 1):
            back = range(len(values) - 1 + step - season * -(-step // season), -1, -season)
            same_place = [values[i] for i in back if not np.isnan(values[i])]
            expected = (same_place or seen[-1:] or [GAP])[0]
            np.testing.assert_equal(row[step - 1], expected)


@pytest.mark.parametrize(("horizon", "season_length"), [(0, 3), (3, 0)])
def test_no_steps_are_refused(horizon: int, season_length: int) -> None:
    with pytest.raises(ValueError, match="give 1 or more"):
        seasonal_naive(panel_of([1.0]), horizon, season_length)


@given(
    arrays.arrays(np.float64, st.integers(0, 40), elements=st.floats(-1e6, 1e6)),
    st.lists(st.floats(0, 1), min_size=1, max_size=4),
    st.data(),
)
def test_grouped_quantiles_are_numpys_of_each_group(
    values: np.ndarray, levels: list[float], data: st.DataObject
) -> None:
    group = np.array(data.draw(st.lists(st.integers(0, 3), min_size=len(values), max_size=len(values))), np.int64)
    if data.draw(st.booleans()):
        group = np.sort(group)

    found = grouped_quantiles(values, group, 5, np.array(levels))

    for i in range(5):
        of_group = values[group == i]
        expected = np.quantile(of_group, levels, method="weibull") if len(of_group) else np.full(len(levels), np.nan)
        np.testing.assert_allclose(found[i], expected, rtol=1e-9, atol=1e-6)
